"""The options of `streamdeid watch` alone."""

from __future__ import annotations

import click

from streamdeid.cli.options import A_PATH, condition, duration, option, together
from streamdeid.condition import EXAMPLE
from streamdeid.engine.live.alerts import EXAMPLE as AN_ALERT
from streamdeid.engine.live.alerts import Alert
from streamdeid.errors import SettingsError

TRANSPORTS = ("tcp", "udp")
POLICIES = ("drop-oldest", "drop-newest", "wait")


def duration_or_never(text: str) -> float | None:
    """A time above 0, or the word never."""
    return None if text == "never" else duration(text)


def alert(text: str) -> Alert:
    """A condition on the scores of the last seconds."""
    try:
        return Alert.parse(text)
    except SettingsError as error:
        raise click.BadParameter(str(error)) from error


watch_output_options = together(
    option(
        "-o",
        "--output",
        "lines",
        type=A_PATH,
        metavar="FILE",
        section="Results",
        help="Write a line of JSON every --every; - for standard output, which it is where that "
        "is no terminal.",
    ),
    option(
        "--every",
        "every_s",
        type=duration,
        default="10s",
        show_default=True,
        metavar="TIME",
        section="Results",
        help="Between two lines.",
    ),
    option(
        "--window",
        "window_s",
        type=duration,
        default="60s",
        show_default=True,
        metavar="TIME",
        section="Results",
        help="Span of the rolling scores, beside those since the start.",
    ),
    option(
        "--report",
        type=A_PATH,
        metavar="FILE",
        section="Results",
        help="Write the report as JSON, at the end.",
    ),
    option(
        "--fail-if",
        "conditions",
        type=condition,
        multiple=True,
        metavar="CONDITION",
        section="Results",
        help=f'As of evaluate, asked of the report.  [e.g. "{EXAMPLE}"]',
    ),
    option(
        "--http",
        metavar="HOST:PORT",
        section="Results",
        help="Answer /metrics (for Prometheus), /healthz (503 when a stream is down) and "
        "/report.json here; a port alone is on this machine.  [e.g. 127.0.0.1:9464]",
    ),
    option(
        "--http-allow-remote",
        is_flag=True,
        section="Results",
        help="Let other machines ask: needed where HOST is not this machine.",
    ),
    option(
        "--resume",
        is_flag=True,
        section="Results",
        help="Go on from the state in --checkpoint, if there is one.",
    ),
    option("-q", "--quiet", is_flag=True, section="Results", help="Say nothing but errors."),
)

stream_options = together(
    option(
        "--duration",
        "duration_s",
        type=duration,
        metavar="TIME",
        section="Streams",
        help="End after this time.  [default: when a stream ends, or with Ctrl-C]",
    ),
    option(
        "--give-up-after",
        "give_up_after_s",
        type=duration_or_never,
        default="10m",
        show_default=True,
        metavar="TIME|never",
        section="Streams",
        help="Without a frame for so long, a stream has ended; until then it is opened again.",
    ),
    option(
        "--transport",
        type=click.Choice(TRANSPORTS),
        default="tcp",
        show_default=True,
        section="Streams",
        help="What RTSP sends pictures by.",
    ),
    option(
        "--when-behind",
        type=click.Choice(POLICIES),
        default="drop-oldest",
        show_default=True,
        section="Streams",
        help="What becomes of frame pairs that come faster than they are analysed; files wait. "
        "For realism, pairs are left out in between blocks whichever of them are dropped.",
    ),
)

alert_options = together(
    option(
        "--alert",
        "alerts",
        type=alert,
        multiple=True,
        metavar="CONDITION",
        section="Alerts",
        help="Tell when this begins to hold of the last seconds; may be repeated. A score "
        f'without a value raises none.  [e.g. "{AN_ALERT}"]',
    ),
    option(
        "--on-alert-run",
        "run",
        metavar="COMMAND",
        section="Alerts",
        help="Run this when an alert is raised, without a shell, with the event as JSON on its "
        "standard input; for 10 s at most.",
    ),
    option(
        "--on-alert-post",
        "post",
        metavar="URL",
        section="Alerts",
        help="POST the event as JSON to this http or https URL.",
    ),
)

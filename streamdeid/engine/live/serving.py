"""serve: how a live run stands, over HTTP, for Prometheus and for who asks whether it is well."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6
from threading import BoundedSemaphore, Lock, Thread
from time import monotonic
from typing import Any, ClassVar, Final

from streamdeid.engine.live.status import Status
from streamdeid.errors import SettingsError
from streamdeid.pair import Pair
from streamdeid.report.report import Report

FRESH_S: Final = 1.0
"""However many ask, the scores are computed once in so many seconds."""

_LONGEST_S: Final = 5.0  # that a client may take to ask
_MOST_ASKING: Final = 16


@dataclass(slots=True)
class Answers:
    """What there is to be told; nothing before the run has begun.

    Attributes:
        status: how the run stands.
        report: what it would report now, of the scores that take no time to compute.
        raised: the alerts, and which of them are raised.
    """

    status: Callable[[], Status] | None = None
    report: Callable[[], Report] | None = None
    raised: Callable[[], dict[str, bool]] = dict
    _lock: Lock = field(default_factory=Lock)
    _last: tuple[float, Status] | None = None

    def fresh(self) -> Status | None:
        """The status, at most a second old; None before the run has begun."""
        if self.status is None:
            return None
        with self._lock:
            if self._last is None or monotonic() - self._last[0] > FRESH_S:
                self._last = monotonic(), self.status()
            return self._last[1]


@contextmanager
def serve(address: str, *, allow_remote: bool = False) -> Iterator[Answers]:
    """Answer on `address` for as long as the context lasts: /metrics, /healthz and /report.json.

    No frames, faces or embeddings are told.

    Args:
        address: HOST:PORT, [IPV6]:PORT, or the port alone for this machine; port 0 takes any.
        allow_remote: other machines may ask.

    Raises:
        SettingsError: it is no address, or nobody can listen there.
    """
    host, port = _host_and_port(address)
    if not allow_remote and not _is_loopback(host):
        raise SettingsError(
            f"--http {address} could be asked by other machines: add --http-allow-remote if they "
            "may, or listen on 127.0.0.1."
        )
    metrics = _prometheus()
    answers = Answers()

    class Handler(_Handler):
        def answer(self) -> tuple[int, str, bytes]:
            return _answer(self.path.partition("?")[0], answers, metrics)

    class Server(_Server):
        address_family = AF_INET6 if ":" in host else ThreadingHTTPServer.address_family

    try:
        server = Server((host, port), Handler)
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"--http {address} cannot be listened on: {reason}; choose another port."
        ) from error
    thread = Thread(target=server.serve_forever, args=(0.1,), name="http", daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    """Answers some at a time; who comes when so many are being answered is turned away."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._free = BoundedSemaphore(_MOST_ASKING)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: whoever asked has gone, and standard error is the user's."""


class _Handler(BaseHTTPRequestHandler):
    timeout: ClassVar[float] = _LONGEST_S
    server_version = "streamdeid"
    sys_version = ""

    def answer(self) -> tuple[int, str, bytes]:
        """Status code, content type and body."""
        raise NotImplementedError

    def do_GET(self) -> None:
        try:
            code, kind, body = self.answer()
        except Exception as error:  # noqa: BLE001  the run goes on, and whoever asks is told
            code, kind = HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8"
            body = f"This is a fault of streamdeid itself ({type(error).__name__}).\n".encode()
        with suppress(OSError):  # whoever asked has gone
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: standard error is the user's."""


def _answer(
    path: str, answers: Answers, metrics: Callable[[Answers], tuple[str, bytes]]
) -> tuple[int, str, bytes]:
    if path == "/metrics":
        return HTTPStatus.OK, *metrics(answers)
    if path == "/healthz":
        status = answers.fresh()
        record = {"up": False, "why": "no frame has come yet"}
        if status is not None:
            down = [name for name, side in status.sides.items() if not side.up]
            why = f"no frames from {' and '.join(down)}" if down else ""
            record = {"up": not down, "why": why}
        code = HTTPStatus.OK if record["up"] else HTTPStatus.SERVICE_UNAVAILABLE
        return code, "application/json", json.dumps(record).encode()
    if path == "/report.json" and answers.report is not None:
        return HTTPStatus.OK, "application/json", answers.report().to_json().encode()
    known = "/metrics, /healthz and, once frames flow, /report.json"
    return HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", f"There are {known}.\n".encode()


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if not (port.isascii() and port.isdigit() and int(port) < 2**16):
        raise SettingsError(f"--http {address} is no HOST:PORT, such as 127.0.0.1:9464.")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _prometheus() -> Callable[[Answers], tuple[str, bytes]]:
    """What writes the metrics.

    Raises:
        SettingsError: prometheus-client is not installed.
    """
    try:
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
    except ImportError as error:
        raise SettingsError(
            '--http needs prometheus-client: pip install "streamdeid[http]".'
        ) from error

    class Collector:
        def __init__(self, answers: Answers) -> None:
            self._answers = answers

        def collect(self) -> Iterator[Any]:
            status = self._answers.fresh()
            if status is None:
                return
            yield from _of_sides(status.sides, CounterMetricFamily, GaugeMetricFamily)
            score = GaugeMetricFamily("streamdeid_score", "A score.", labels=["name", "over"])
            for over, scores in (("total", status.totals), ("window", status.window)):
                for one in scores:
                    if one.value is not None:
                        score.add_metric([one.name, over], one.value)
            yield score
            raised = GaugeMetricFamily("streamdeid_alert", "1: raised.", labels=["alert"])
            for alert, is_raised in self._answers.raised().items():
                raised.add_metric([alert], float(is_raised))
            yield raised
            for name, text, value in (
                ("lag_seconds", "What the last pair had waited to be analysed.", status.lag_s),
                ("pairs_per_second", "Analysed lately.", status.pairs_per_s),
            ):
                yield GaugeMetricFamily(f"streamdeid_{name}", text, value=value)
            yield CounterMetricFamily("streamdeid_pairs", "Pairs analysed.", value=status.pairs)

    def write(answers: Answers) -> tuple[str, bytes]:
        registry = CollectorRegistry()
        registry.register(Collector(answers))
        return CONTENT_TYPE_LATEST, generate_latest(registry)

    return write


def _of_sides(sides: Pair[Any], counter: Any, gauge: Any) -> Iterator[Any]:
    """The families that have a value for each side."""
    for name, text in (
        ("frames", "Frames decoded."),
        ("frames_used", "Frames whose pair was analysed."),
        ("frames_corrupt", "Frames with damaged data."),
        ("reconnects", "Connections after the first."),
    ):
        key = name.removeprefix("frames_") if name != "frames" else name
        family = counter(f"streamdeid_{name}", text, labels=["side"])
        for side, status in sides.items():
            family.add_metric([side], status.account.to_record()[key])
        yield family
    skipped = counter("streamdeid_frames_skipped", "Frames left out.", labels=["side", "reason"])
    for side, status in sides.items():
        for reason, count in status.account.skipped.items():
            skipped.add_metric([side, reason], count)
    yield skipped
    for name, text, read in (
        ("up", "1: frames come.", lambda status: float(status.up)),
        ("fps_in", "Frames a second.", lambda status: status.fps_in),
        ("last_frame_age_seconds", "Since a frame.", lambda status: status.last_frame_age_s),
    ):
        family = gauge(f"streamdeid_{name}", text, labels=["side"])
        for side, status in sides.items():
            value = read(status)
            if value is not None:
                family.add_metric([side], value)
        yield family

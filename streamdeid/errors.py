"""Every error raised on purpose.

    StreamdeidError
    ├── InputError             what the user gave cannot be used: one sentence, exit code 2
    │   ├── SourceError            a video cannot be opened or read
    │   ├── PairingError           the two videos cannot be joined by time
    │   ├── ReferenceImageError    a reference image has no usable face
    │   └── SettingsError          an option has a value that makes no sense
    ├── ModelError             a model file is missing, changed or of the wrong shape
    ├── RuntimeMissingError    ONNX Runtime is missing, or installed twice
    ├── OutputError            a result cannot be written
    └── NotEnoughSamples       a figure was asked for that so little data does not give

A missing face, a dropped frame or a corrupt packet is a result, not an error: it is counted.
"""


class StreamdeidError(Exception):
    """Base of all of them; its text is one sentence meant for the user."""


class InputError(StreamdeidError):
    """What the user gave cannot be used."""


class SourceError(InputError):
    """A video cannot be opened or read."""


class PairingError(InputError):
    """The two videos cannot be joined by time."""


class ReferenceImageError(InputError):
    """A reference image cannot be read, or holds no usable face."""


class SettingsError(InputError):
    """An option has a value that makes no sense."""


class ModelError(StreamdeidError):
    """A model file is missing, changed, or not what the manifest says."""


class RuntimeMissingError(StreamdeidError):
    """ONNX Runtime is not installed, or is installed twice."""


class OutputError(StreamdeidError):
    """A result cannot be written."""


class NotEnoughSamples(StreamdeidError):  # noqa: N818  a state of the data, not a fault
    """A figure was asked for that so little data does not give."""

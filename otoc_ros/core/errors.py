"""The one error type that is meant for a person."""


class InputError(ValueError):
    """Something a person gave us cannot be used.

    The message is one line that names the value, the place and the remedy. The command line prints
    it and exits with status 2; the live node logs it and goes on with the next cloud.
    """

    def __init__(self, message: str) -> None:
        # Names taken from damaged files may hold line breaks.
        super().__init__(" ".join(message.split()))

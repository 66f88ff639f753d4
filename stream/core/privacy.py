"""placeholder"""

from stream.core.annotation import PersonalData


def find_personal(text: str) -> tuple[PersonalData, ...]:
    return ()

"""What commands take: the values of their options, checked."""

from __future__ import annotations

from datetime import date

from rag.errors import SettingsError


def day(option: str, value: str | None) -> date | None:
    """The full date that an option states; None where it is not given. Raises `SettingsError`."""
    if value is None:
        return None
    from rag.dates import parse_date

    found = parse_date(value)
    if found is None:
        raise SettingsError(f"{option} {value} is not a full date; write it as YYYY-MM-DD")
    return found

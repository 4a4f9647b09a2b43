"""Document the answer about the settings and versions of the exporter."""

from pydantic import BaseModel, Field


class SettingRow(BaseModel):
    """One setting of the exporter, or of one of its servers; null is not set."""

    server: str | None = Field(description="Server of the setting; null for the whole exporter.")
    name: str = Field(description="Key of the setting in the settings file.")
    value: str | None = Field(
        description="Value of the setting. `set` stands for a value that may have a secret. Of"
        " some addresses, only the host is shown."
    )
    is_default: bool = Field(description="The value is the default.")


class SetupAnswer(BaseModel):
    """The settings without secrets, and the versions: what a bug report needs."""

    settings: list[SettingRow]
    versions: dict[str, str] = Field(
        description="Versions of the exporter, Python, the system and the installed libraries."
    )

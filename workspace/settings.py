"""Settings of one process: arguments, then environment (``RECOMMENDR_*``), then ``recommendr.toml``, then defaults."""

import os
import tomllib
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from workspace.errors import InvalidValueError, SchemaError

ENV_PREFIX: Final = "RECOMMENDR_"
TOML_FILE: Final = "recommendr.toml"


class Settings(BaseSettings):
    """What an operator may choose; every field is also the environment variable ``RECOMMENDR_<FIELD>``."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, toml_file=TOML_FILE, env_ignore_empty=True, extra="forbid", frozen=True
    )

    home: Path = Field(default=Path("var"), validate_default=True, description="Folder that holds everything stored.")
    database_url: str | None = Field(
        default=None, repr=False, description="Operational store; unset means SQLite inside the home."
    )
    encoder: str = Field(
        default="all-MiniLM-L6-v2", min_length=1, description="Name or folder of a sentence-transformers model."
    )
    encoder_dtype: Literal["float32", "bfloat16", "auto"] = Field(
        default="auto", description="Arithmetic of the encoder; auto takes bfloat16 where it agrees with float32."
    )
    encoder_batch: int = Field(default=64, ge=1, le=4096, description="Texts encoded at a time.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")
    port: int = Field(default=8501, ge=1, le=65535, description="Port of the console on 127.0.0.1.")
    shadow_rate: float = Field(
        default=0.01, ge=0, le=1, description="Share of requests answered a second time by exact search."
    )
    shown_lately_days: int = Field(
        default=7, ge=0, le=3650, description="Days during which a film once shown is not shown again."
    )

    key_folder: Path | None = Field(
        default=None, description="Folder of the pseudonym keys; unset means <home>.keys, beside the home."
    )
    k_anonymity: int = Field(default=10, ge=2, le=10_000, description="Least number of users any figure is about.")
    retention_days: int = Field(default=396, ge=1, le=3_650, description="Days for which telemetry is kept.")
    warehouse_memory_mb: int = Field(
        default=1_024, ge=128, le=1_048_576, description="Memory limit of the embedded warehouse, MiB."
    )
    snowflake_connection: str | None = Field(
        default=None, description="Connection of Snowflake's connections.toml; unset means the embedded warehouse."
    )
    prometheus_url: str | None = Field(
        default=None,
        repr=False,
        description="Prometheus to read system metrics from; unset means the embedded series.",
    )
    prometheus_timeout_s: float = Field(default=10, gt=0, le=300, description="Seconds one question to it may take.")
    kafka_brokers: str | None = Field(default=None, description="Kafka's bootstrap servers; unset means no Kafka.")
    kafka_topic: str = Field(default="recommendr.events", min_length=1, description="Topic the events come by.")
    kafka_group: str = Field(default="recommendr", min_length=1, description="Consumer group of this installation.")

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, strongest first."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(home: Path | None = None) -> Settings:
    """Read the settings of this process.

    Args:
        home: Overrides the home folder of every other source.

    Returns:
        The settings, checked; the home folder is absolute.

    Raises:
        InvalidValueError: When a value is outside its limits, naming the variable.
        SchemaError: When ``recommendr.toml`` can't be read or holds an unknown name.
    """
    overrides: dict[str, Any] = {} if home is None else {"home": home}
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise _named(error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SchemaError(
            f"{Path(TOML_FILE).absolute()}: {error}", "must be readable TOML", "correct or remove the file"
        ) from error


def _named(error: ValidationError) -> InvalidValueError | SchemaError:
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else "settings"
    if first["type"] == "extra_forbidden":
        known = ", ".join(sorted(Settings.model_fields))
        return SchemaError(f"{TOML_FILE} sets {field!r}", "which is no setting", f"the settings are {known}")
    variable = f"{ENV_PREFIX}{field.upper()}"
    # A URL may carry a password: it is never repeated.
    value = "" if field.endswith("_url") else f" == {first['input']!r}"
    source = f"set {variable}" if variable in os.environ else f"set {variable}, or {field} in {TOML_FILE}"
    return InvalidValueError(f"{variable}{value}", first["msg"][:1].lower() + first["msg"][1:], source)

"""The model that every part of the definition is: frozen, closed, camelCase keys, documented fields."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic.alias_generators import to_camel

from nerv.platform.types import Version

Values = dict[str, JsonValue]


class Model(BaseModel):
    """Unknown keys are refused; numbers are not taken for text; the text below a field is its documentation."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        use_attribute_docstrings=True,
        validate_default=True,
        revalidate_instances="never",
    )


class ComponentSettings(Model):
    """What every component of the catalog has."""

    enabled: bool = True
    """Whether the platform carries this component. What depends on it is left out or refused."""


class ChartSettings(ComponentSettings):
    """What every component that is a Helm chart has."""

    version: Version | None = None
    """Exact chart version; without it the one that NERV is proved with."""
    values: Values = {}
    """Chart values merged over NERV's own: the way to change what has no setting here."""

"""Python commands of the global `payload`: YAML, which the VM does not read or write itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from wippy.errors import INTERNAL, Error
from wippy.scheduler.commands import Call, Command

if TYPE_CHECKING:
    from wippy.app import App

__all__ = ["commands"]


async def encode_yaml(_call: Call, document: str) -> str:
    """Return a value, which comes as JSON text, as YAML that `decode_yaml` reads back."""
    import yaml

    from wippy.registry.document import parse_plain_scalar

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def represent_text(self, text: str) -> yaml.ScalarNode:
            # Our reader follows YAML 1.2: it takes some texts for numbers that PyYAML would leave without quotes.
            style = None if isinstance(parse_plain_scalar(text), str) else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", text, style)  # type: ignore[no-any-return]

    Dumper.add_representer(str, Dumper.represent_text)
    value = msgspec.json.decode(document)
    text: str = yaml.dump(value, Dumper=Dumper, allow_unicode=True, default_flow_style=False)
    return text.removesuffix("...\n")


async def decode_yaml(_call: Call, text: str | bytes) -> Any:
    """Return the value of a YAML document, which is read as definition files are.

    Raises Error(Internal) that says where the text is malformed.
    """
    from wippy.registry.document import Document

    try:
        document = Document(text, "payload")
        return document.value(document.root)
    except Error as problem:
        raise Error(problem.message, INTERNAL, retryable=False) from None


def commands(_app: App) -> Mapping[str, Command]:
    return {"payload.encode_yaml": encode_yaml, "payload.decode_yaml": decode_yaml}

"""/docs: the description of /openapi.json as one plain page, without a script and without foreign files."""

import base64
import hashlib
import html
import json
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: light-dark(#1d2125, #e8e6e1); --mute: light-dark(#5c636a, #a0a7ae);
  --paper: light-dark(#fbfaf7, #14171a); --sunk: light-dark(#f3f1ec, #101316); --line: light-dark(#dedad2, #2e343a);
  --accent: light-dark(#0f6b4f, #63cba3); }
body { font: 15px/22px system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 860px;
  margin: 0 auto; padding: 28px 20px; }
h1 { font-size: 22px; font-weight: 600; margin: 0 0 8px } h2 { font-size: 19px; font-weight: 600; margin: 36px 0 8px }
p, dd { color: var(--mute) } a { color: var(--accent) }
details { border-top: 1px solid var(--line); padding: 8px 0 } summary { cursor: pointer }
code, pre { font: 13px/20px ui-monospace, monospace } pre { background: var(--sunk); padding: 12px; border-radius: 6px;
  overflow-x: auto } dt code { color: var(--ink) } dd { margin: 0 0 8px 20px }
b { color: var(--accent); font-weight: 600 }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def docs_page(document: dict[str, Any]) -> bytes:
    sections: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            sections.setdefault(operation["tags"][0], []).append(_operation(document, method, path, operation))
    body = "".join(f"<h2>{_text(tag)}</h2>{''.join(parts)}" for tag, parts in sections.items())
    intro = "".join(f"<p>{_text(part)}</p>" for part in document["info"]["description"].split("\n\n"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Heliograph API</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>Heliograph API {_text(document['info']['version'])}</h1>{intro}"
        f'<p>For programs: <a href="/openapi.json">/openapi.json</a></p>{body}</main></body></html>'
    ).encode()


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    base = document["servers"][0]["url"]
    head = f"<summary><b>{method.upper()}</b> <code>{_text(base + path)}</code> {_text(operation['summary'])}</summary>"
    parts = [f"<p>{_text(operation['description'])}</p>"] if "description" in operation else []
    if operation["parameters"]:
        parts.append(
            _terms("Parameters", [(_name(one), one.get("description", "")) for one in operation["parameters"]])
        )
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if body:
        parts.append(_terms("Body", _fields(document, body["schema"])))
        if "example" in body:
            parts.append(f"<pre>{_text(json.dumps(body['example'], indent=2))}</pre>")
    answers = [(status, answer["description"]) for status, answer in operation["responses"].items()]
    parts.append(_terms("Answers", answers))
    return f"<details>{head}{''.join(parts)}</details>"


def _name(parameter: dict[str, Any]) -> str:
    return f"{parameter['name']} ({parameter['in']})"


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> list[tuple[str, str]]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found = document["components"]["schemas"].get(name, schema)
    needed = found.get("required", [])
    return [
        (f"{key}{' (required)' if key in needed else ''}", value.get("description", ""))
        for key, value in found.get("properties", {}).items()
    ]


def _terms(title: str, terms: list[tuple[str, str]]) -> str:
    rows = "".join(f"<dt><code>{_text(term)}</code></dt><dd>{_text(about)}</dd>" for term, about in terms)
    return f"<p>{title}</p><dl>{rows}</dl>"


def _text(text: str) -> str:
    return html.escape(str(text))

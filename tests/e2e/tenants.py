"""Organisations of a running server, and one of each kind of object in them."""

import json
import time
from typing import Any

import httpx

TOOL = {
    "name": "secret_tool",
    "description": "The victim's",
    "parameters": {"type": "object"},
    "runtime": {"kind": "python", "code": "def main(): return 'secret'"},
    "effect": "pure",
    "permissions": {"organization": True},
}


def organization(url: str, key: str, name: str) -> httpx.Client:
    """A new one, as its administrator sees it: all but what operators may. key: an operator's."""
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60) as operator:
        made = operator.post("/admin/v1/organizations", json={"name": name}).json()
        body = {"name": name, "scopes": ["chat", "admin", "audit"], "organization_id": made["id"]}
        secret = operator.post("/admin/v1/keys", json=body).json()["secret"]
    return httpx.Client(base_url=url, headers={"authorization": f"Bearer {secret}"}, timeout=60)


def furnished(http: httpx.Client) -> dict[str, str]:
    """The ids of what was made, each by the name that a path's parameter has."""

    def made(path: str, **options: Any) -> dict[str, Any]:
        response = http.post(path, **options)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer

    items = [{"role": "user", "content": "secret"}]
    conversation = made("/v1/conversations", json={"items": items})
    response = made("/v1/responses", json={"model": "scripted", "input": "secret"})
    messages = {"model": "scripted", "messages": items, "store": True}
    upload = {"data": {"purpose": "user_data"}, "files": {"file": ("secret.txt", b"secret")}}
    key = made("/admin/v1/keys", json={"name": "secret", "scopes": ["chat"]})
    tool = made("/admin/v1/tools", json=TOOL)
    made("/admin/v1/assistants", json={"name": "secret-helper", "model": "scripted", "instructions": "secret"})
    offered = {"type": "mcp", "server_label": "registry", "allowed_tools": ["secret_tool"], "require_approval": "always"}
    asking = made("/v1/responses", json={"model": "scripted", "input": "Tell the secret.", "tools": [offered]})
    webhook = made("/admin/v1/webhooks", json={"url": "http://receiver.invalid/secret", "events": ["response.completed"]})
    asked = {"custom_id": "secret", "method": "POST", "url": "/v1/responses", "body": {"model": "scripted", "input": "secret"}}
    requests = {"data": {"purpose": "batch"}, "files": {"file": ("secret.jsonl", json.dumps(asked).encode())}}
    batch = {"input_file_id": made("/v1/files", **requests)["id"], "endpoint": "/v1/responses", "completion_window": "24h"}
    batch_id = made("/v1/batches", json=batch)["id"]
    while http.get(f"/v1/batches/{batch_id}").json()["status"] != "completed":
        time.sleep(0.1)
    return {
        "batch_id": batch_id,
        "conversation_id": conversation["id"],
        "item_id": http.get(f"/v1/conversations/{conversation['id']}/items").json()["data"][0]["id"],
        "response_id": response["id"],
        "turn_id": response["id"],
        "completion_id": made("/v1/chat/completions", json=messages)["id"],
        "file_id": made("/v1/files", **upload)["id"],
        "key_id": key["id"],
        "user_id": key["user_id"],
        "subject_id": key["user_id"],
        "organization_id": key["organization_id"],
        "name": "secret_tool",
        "digest": tool["digest"],
        "assistant": "secret-helper",
        "approval_id": asking["output"][-1]["id"],
        "webhook_id": webhook["id"],
        "event_id": http.get("/admin/v1/audit/events").json()["data"][0]["id"],
    }

"""Bearer tokens that expired long ago are forgotten at their user's next sign-in, with what they were given."""

from pathlib import Path

import sqlalchemy as sa

from core.bootstrap import Addresses
from core.identity.admission import FORGOTTEN_AFTER_DAYS
from core.storage.database import Database
from core.storage.tables import api_keys
from tests.doubles.issuer import AUDIENCE, NAME, open_issuer
from tests.doubles.office import open_office
from tests.integration.conftest import Tenant, told
from tests.integration.test_people import TOOL


async def test_a_forgotten_token_leaves_no_tier_and_no_tool_that_cannot_be_changed(
    server_url: str, redis_url: str, tmp_path: Path, tenant: Tenant, database: Database
) -> None:
    home, objects = tenant.principal.organization_id, f"file://{tmp_path / 'objects'}"
    addresses = Addresses(database=server_url, redis=redis_url, objects=objects, sandbox=tmp_path / "none")
    async with open_issuer() as issuer:
        tokens = {"issuer": NAME, "audience": AUDIENCE, "jwks_url": issuer.url, "organization": home, "create_users": True}
        async with open_office(addresses, tmp_path, {"tokens": tokens}) as office:
            operator = office.caller(tenant.secret)
            assert (await office.caller(issuer.token())("GET", "/v1/models")).status_code == 200
            [token] = (await operator("GET", "/admin/v1/keys", params={"kind": "token"})).json()["data"]
            await operator.made(f"/admin/v1/limits/{token['id']}", {"tier": "free"})
            permissions = {"keys": [token["id"], tenant.principal.key_id]}
            await operator.made("/admin/v1/tools", {**TOOL, "name": "lookup", "permissions": permissions})
            long_ago = sa.func.now() - sa.func.make_interval(0, 0, 0, FORGOTTEN_AFTER_DAYS + 1)
            async with database.everyone() as connection:
                await connection.execute(sa.update(api_keys).where(api_keys.c.id == token["id"]).values(expires_at=long_ago))
            assert (await office.caller(issuer.token(jti="another"))("GET", "/v1/models")).status_code == 200
            assert (await operator("GET", f"/admin/v1/keys/{token['id']}")).status_code == 404
            assert (await operator("GET", "/admin/v1/limits")).json()["data"] == []
            left = (await operator("GET", "/admin/v1/tools/lookup")).json()["permissions"]
            assert left["keys"] == [tenant.principal.key_id]
            assert (await operator.made("/admin/v1/tools/lookup", {"permissions": left}))["permissions"] == left
    record, _ = await told(database, home, "tool.changed")
    assert (record["actor"], record["object"]) == ("system", "lookup")
    assert record["details"] == {"grants": f"key:{tenant.principal.key_id}"}

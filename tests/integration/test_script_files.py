"""A scripted model's file, in a configuration that is read by a server started anywhere."""

import pytest

from core.bootstrap import open_platform
from core.config import Settings
from core.errors import ConfigurationError
from tests.integration.conftest import Stage


def settings(stage: Stage, script_file: str) -> Settings:
    folder = stage.home / "configuration"
    folder.mkdir(exist_ok=True)
    (folder / "replies.yaml").write_text("rules: [{reply: found}]")
    model = {"name": "scripted", "backend": "scripted", "script_file": script_file}
    return Settings.model_validate({"home": stage.home, "config": folder / "paddock.yaml", "models": [model]})


async def test_a_script_lies_beside_the_configuration_and_is_told_where_when_it_does_not(stage: Stage) -> None:
    async with open_platform(settings(stage, "replies.yaml"), stage.addresses) as platform:
        assert "scripted" in platform.models.names
    missing = rf"the script '{stage.home}/configuration/none\.yaml' cannot be read"
    with pytest.raises(ConfigurationError, match=missing):
        async with open_platform(settings(stage, "none.yaml"), stage.addresses):
            pass

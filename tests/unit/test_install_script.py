"""What `make` runs before anything of ours can run."""

import subprocess
from pathlib import Path

import pytest

INSTALL = Path(__file__).parents[2] / "deploy" / "bootstrap" / "install.sh"


@pytest.mark.parametrize("code", [0, 7])
def test_a_long_step_keeps_its_exit_code_and_its_heartbeat_ends_with_it(code: int) -> None:
    """One that went on would hold the pipe, and this test with it."""
    lines = INSTALL.read_text().splitlines()
    begin = lines.index("with_heartbeat() {")
    function = "\n".join(lines[begin : lines.index("}", begin) + 1])
    script = f"set -euo pipefail\n{function}\nwith_heartbeat 'a long step' bash -c 'sleep 0.3; exit {code}'\n"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")

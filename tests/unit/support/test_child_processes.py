"""What a test started in a PID namespace has ended after the test."""

import os
import subprocess
from pathlib import Path

import pytest

from support.processes.child_processes import is_alive, kill_namespace, wait_until


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_a_namespace_ends_whose_process_1_has_changed_its_user() -> None:
    command = [
        *("unshare", "--pid", "--fork", "--kill-child"),
        *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
        *("sh", "-c", "echo ready; sleep 600"),
    ]
    unshare = subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/")
    assert unshare.stdout is not None
    assert unshare.stdout.readline() == b"ready\n"
    process_1 = int(Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text())
    kill_namespace(unshare)
    unshare.stdout.close()
    assert wait_until(lambda: not is_alive(process_1))

"""A process is told apart from all others that ever had its number."""

import os
import signal
import subprocess
import sys

import msgspec

from flyball.core import is_alive, this_process


def test_this_process_lives_and_its_identity_survives_storage() -> None:
    own = this_process()
    assert own.pid == os.getpid()
    assert str(own) == f"process {own.pid} on {own.host}"
    assert is_alive(msgspec.json.decode(msgspec.json.encode(own), type=type(own))) is True


def test_one_that_has_its_number_now_is_another() -> None:
    assert is_alive(msgspec.structs.replace(this_process(), start="1")) is False


def test_of_another_machine_or_boot_nothing_is_known() -> None:
    assert is_alive(msgspec.structs.replace(this_process(), host="elsewhere")) is None
    assert is_alive(msgspec.structs.replace(this_process(), machine="an earlier boot")) is None


def test_a_killed_one_is_dead_before_and_after_its_parent_knows() -> None:
    program = "from flyball.core import this_process; import msgspec, sys\n"
    program += "print(msgspec.json.encode(this_process()).decode(), flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        identity = msgspec.json.decode(child.stdout.readline(), type=type(this_process()))
        assert is_alive(identity) is True
        child.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_alive(identity) is False, "a zombie works on nothing"
    assert is_alive(identity) is False


def test_where_the_system_tells_no_start_the_number_decides() -> None:
    assert is_alive(msgspec.structs.replace(this_process(), start="")) is True
    assert is_alive(msgspec.structs.replace(this_process(), start="", pid=2**22 + 1)) is False

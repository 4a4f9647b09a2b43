"""What the tests of a row run with: the locked file, without what a Python cannot have yet."""

from poolscope_generators.matrix.environments import REQUIREMENTS, WITHOUT_A_WHEEL_AHEAD, leave_out

LOCKED = """\
# This file was made by a tool.
alpha==1.0 \\
    --hash=sha256:00
    # via beta
beta[extra]==2.0 \\
    --hash=sha256:01
beta-more==3.0 \\
    --hash=sha256:02
"""


def test_a_distribution_is_left_out_with_its_hashes() -> None:
    assert leave_out(LOCKED, ["alpha"]) == (
        "# This file was made by a tool.\n"
        "beta[extra]==2.0 \\\n    --hash=sha256:01\nbeta-more==3.0 \\\n    --hash=sha256:02\n"
    )


def test_every_distribution_stays_where_none_is_left_out() -> None:
    assert leave_out(LOCKED, ()) == LOCKED


def test_what_is_left_out_ahead_is_in_the_locked_file() -> None:
    locked = (REQUIREMENTS / "dev.txt").read_text()
    for name in WITHOUT_A_WHEEL_AHEAD:
        assert f"\n{name}==" in locked
        assert f"\n{name}==" not in leave_out(locked, [name])

"""The search of a soak finds a frame that a look keeps alive, and a reference to it."""

import sys
from types import FrameType

from poolscope.watching.code_names import CodeNames
from poolscope.watching.owner_stack import StackReader
from support.applications.kept_frames import keepers_of_frames, live_things_of_poolscope


def an_ended_function() -> FrameType:
    return sys._getframe()


def test_a_reader_that_is_kept_is_found_with_its_frames() -> None:
    before = live_things_of_poolscope().keys(), keepers_of_frames().keys()
    frames = {1: an_ended_function()}
    kept = StackReader(frames, {}, CodeNames())
    live = live_things_of_poolscope()
    ways = [way for key, way in live.items() if key not in before[0]]
    assert [way for way in ways if way.endswith("StackReader > dict > frame")], ways
    assert id(frames) in keepers_of_frames().keys() - before[1]
    del kept

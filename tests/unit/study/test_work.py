"""Work spread over processes: who hears Ctrl-C, and that nothing outlives it."""

from __future__ import annotations

from contextlib import closing
from multiprocessing import active_children
from signal import SIG_BLOCK, SIGINT, pthread_sigmask
from threading import Event

import pytest

from controller.lab.study.work import spread


def hears_ctrl_c(_: int) -> bool:
    return SIGINT not in pthread_sigmask(SIG_BLOCK, ())


def done_or_never_done(number: int) -> int:
    if number > 1:
        Event().wait()
    return number


def test_of_ctrl_c_only_the_process_hears_that_can_say_how_to_go_on() -> None:
    assert list(spread(hears_ctrl_c, [1, 2, 3], 2)) == [False, False, False]
    assert hears_ctrl_c(0)


@pytest.mark.parametrize("why", [KeyboardInterrupt, GeneratorExit])
def test_no_worker_outlives_an_interruption_wherever_it_comes(why: type[BaseException]) -> None:
    with closing(spread(done_or_never_done, [1, 2, 3], 2)) as found:
        assert next(found) == 1
        with pytest.raises(why):
            found.throw(why)
    assert active_children() == []
    assert hears_ctrl_c(0)

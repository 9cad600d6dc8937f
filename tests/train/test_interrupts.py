import signal
import threading

import pytest

from minilora.train.interrupts import interrupts_deferred


def ctrl_c():
    signal.raise_signal(signal.SIGINT)


def test_ctrl_c_comes_at_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt):
        with interrupts_deferred():
            ctrl_c()
            done.append("the rest of the block")
        done.append("what comes after")
    assert done == ["the rest of the block"]


def test_a_second_ctrl_c_comes_at_once():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():
        ctrl_c()
        ctrl_c()
        done.append("not reached")
    assert done == []


def test_blocks_in_blocks_wait_for_the_outermost():
    done = []
    with pytest.raises(KeyboardInterrupt), interrupts_deferred():
        with interrupts_deferred():
            ctrl_c()
        done.append("after the inner block")
    assert done == ["after the inner block"]


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_pythons_handler_is_back_afterwards(error):
    try:
        with interrupts_deferred():
            if error:
                raise error
    except ZeroDivisionError:
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_programs_own_handler_is_left_alone():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append("at once"))
    try:
        with interrupts_deferred():
            ctrl_c()
            assert seen == ["at once"]
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_need_no_handler():
    done = []

    def block():
        with interrupts_deferred():
            done.append(True)

    thread = threading.Thread(target=block)
    thread.start()
    thread.join()
    assert done == [True]

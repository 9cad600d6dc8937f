import signal
import threading

import pytest

from minilora.train.interrupts import interrupts_deferred


def events(*happenings):
    """What has happened when KeyboardInterrupt is raised by a block in which these do, in turn."""
    done = []

    def run():
        with interrupts_deferred():
            for happening in happenings:
                happening(done)
        done.append("what comes after")

    with pytest.raises(KeyboardInterrupt):
        run()
    return done


def press(done):
    signal.raise_signal(signal.SIGINT)


def press_in_an_inner_block(done):
    with interrupts_deferred():
        press(done)
    done.append("after the inner block")


def work(done):
    done.append("work")


def test_ctrl_c_comes_at_the_end_of_the_block():
    assert events(press, work) == ["work"]


def test_a_second_ctrl_c_comes_at_once():
    assert events(work, press, press, work) == ["work"]


def test_blocks_in_blocks_wait_for_the_outermost():
    assert events(press_in_an_inner_block, work) == ["after the inner block", "work"]


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
            press([])
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

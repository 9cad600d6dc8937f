import threading

import numpy as np
import pytest
import threadpoolctl

from minilora.linalg import one_blas_thread, product_svd


def blas_threads():
    np.ones((2, 2)) @ np.ones((2, 2))  # so that BLAS is loaded
    pools = threadpoolctl.threadpool_info()
    return {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        yield


def test_inside_there_is_one_thread_and_afterwards_as_many_as_before():
    with one_blas_thread():
        assert blas_threads() == {1}
        with one_blas_thread():
            pass
        assert blas_threads() == {1}
    assert blas_threads() == {2}


def test_the_last_thread_to_leave_lifts_the_limit():
    inside, leave = threading.Event(), threading.Event()

    def work():
        with one_blas_thread():
            inside.set()
            leave.wait()

    worker = threading.Thread(target=work)
    with one_blas_thread():
        worker.start()
        inside.wait()
    assert blas_threads() == {1}
    leave.set()
    worker.join()
    assert blas_threads() == {2}


def test_an_error_lifts_the_limit():
    with pytest.raises(KeyError), one_blas_thread():
        raise KeyError
    assert blas_threads() == {2}


def test_thin_factors_are_decomposed_with_one_thread(monkeypatch, rng):
    seen = set()
    qr = np.linalg.qr

    def watched(X):
        seen.update(blas_threads())
        return qr(X)

    monkeypatch.setattr(np.linalg, "qr", watched)
    product_svd(rng.standard_normal((9, 2)), rng.standard_normal((2, 8)))
    assert seen == {1}

from minilora.train import EpochRecord, History, StepRecord


def step(n):
    return StepRecord(step=n, epoch=n / 2, loss=1.0 / n, lr=0.1, n_tokens=7)


def epoch(n, *, is_best=False):
    return EpochRecord(step=n, epoch=n / 2, loss=0.5, seconds=1.0, dev={}, is_best=is_best)


def test_an_empty_history_has_no_best():
    assert (History().best, History().stale, History().rows()) == (None, 0, [])


def test_the_last_record_that_was_best_is_the_best():
    history = History([], [epoch(2, is_best=True), epoch(4, is_best=True), epoch(6), epoch(8)])
    assert history.best is history.epochs[1]
    assert history.stale == 2


def test_rows_are_in_the_order_things_happened():
    history = History([step(1), step(2), step(3)], [epoch(2)])
    assert [(row["step"], "dev" in row) for row in history.rows()] == [
        (1, False),
        (2, False),
        (2, True),
        (3, False),
    ]


def test_losses_are_those_of_the_steps():
    assert History([step(1), step(2)]).losses == [1.0, 0.5]

from __future__ import annotations

from pathlib import Path

from localtune.analysis.metric_help import explain_no_best
from localtune.trial.trial import Trial
from tests.records import add_results, make_trial

NAN = float("nan")


def trial_with(directory: Path, **metrics: float) -> Trial:
    trial = make_trial(directory)
    add_results(trial, [metrics])
    return trial


def test_an_experiment_may_have_no_trials() -> None:
    assert explain_no_best([], "loss", only_finite=True) == (
        "There is no best trial: the experiment has no trials."
    )


def test_trials_may_have_reported_nothing(tmp_path: Path) -> None:
    assert explain_no_best([make_trial(tmp_path)], "loss", only_finite=True) == (
        "There is no best trial by 'loss': no trial has reported a number."
    )


def test_the_metric_may_have_no_finite_value(tmp_path: Path) -> None:
    text = explain_no_best([trial_with(tmp_path, loss=NAN)], "loss", only_finite=True)

    assert text.startswith("There is no best trial by 'loss': its value is NaN or infinite")
    assert "filter_nan_and_inf=False" in text


def test_a_misspelled_metric_is_guessed(tmp_path: Path) -> None:
    trials = [trial_with(tmp_path, accuracy=0.5), trial_with(tmp_path, loss=1.0)]

    assert explain_no_best(trials, "acuracy", only_finite=True) == (
        "There is no best trial by 'acuracy': no trial has reported a number of that name. "
        "Did you mean 'accuracy'? Reported were: accuracy, loss, training_iteration."
    )


def test_what_the_user_reported_is_listed_before_what_was_filled_in(tmp_path: Path) -> None:
    trial = trial_with(tmp_path, zeta=1, done=False, time_total_s=1.0)

    text = explain_no_best([trial], "q", only_finite=False)

    assert text.endswith(
        "of that name. Reported were: zeta, done, time_total_s, training_iteration."
    )


def test_a_long_list_is_cut(tmp_path: Path) -> None:
    trial = trial_with(tmp_path, **{f"metric_{number:02d}": 1 for number in range(30)})

    text = explain_no_best([trial], "q", only_finite=False)

    assert text.endswith("metric_18, metric_19 and 11 more.")

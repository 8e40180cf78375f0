"""What tuning leaves in a lake: put once, by number, read again, never another's."""

import pytest

from storage.errors import IntegrityError
from storage.lake import layout
from storage.lake.studies import agree_study, put_study_report, put_trial, read_trials
from storage.stores.memory import MemoryStore

KEY = "0123abcd" + "0" * 56


def test_it_is_laid_out_as_documented():
    assert layout.study_key(KEY) == f"runs/{KEY}/study.json"
    assert layout.numbered_key(layout.trials_folder(KEY), 3) == f"runs/{KEY}/trials/00000003.json"
    page = layout.study_report_key(KEY, "ab" * 32)
    assert page == f"runs/{KEY}/reports/{'ab' * 8}/report.html"


def test_trials_are_read_by_number_and_only_once(store):
    for number in (2, 1, 11):
        assert put_trial(store, KEY, number, {"number": number, "rank": 0.5})["rank"] == 0.5
    found = read_trials(store, KEY)
    assert sorted(found) == [1, 2, 11]
    assert found[2] == {"number": 2, "rank": 0.5}
    assert read_trials(store, KEY, found)[11] is found[11]
    assert read_trials(store, "f" * 64) == {}


def test_the_first_trial_of_a_number_stands(store):
    mine = put_trial(store, KEY, 1, {"number": 1, "rank": 1.0})
    theirs = put_trial(store, KEY, 1, {"number": 1, "rank": 2.0})
    assert mine == theirs == {"number": 1, "rank": 1.0}


def test_a_study_and_its_report_are_put_once(store):
    agree_study(store, KEY, {"seed": 1})
    agree_study(store, KEY, {"seed": 1})
    assert store.get(layout.study_key(KEY)) == b'{"format":"ganmill-study/1","seed":1}'
    place = put_study_report(store, KEY, b"<p>page</p>")
    assert put_study_report(store, KEY, b"<p>page</p>") == place
    assert store.get(place) == b"<p>page</p>"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"format":"ganmill-trial/1","number":2}', b'{"format":"x"}']
)
def test_what_is_no_trial_of_its_number_is_refused(data):
    lake = MemoryStore()
    place = layout.numbered_key(layout.trials_folder(KEY), 1)
    lake.put_once(place, data)
    with pytest.raises(IntegrityError, match=rf"{place} is no ganmill-trial/1 of its number"):
        read_trials(lake, KEY)
    with pytest.raises(IntegrityError, match="delete it"):
        put_trial(lake, KEY, 1, {"number": 1})


def test_objects_beside_the_trials_are_none():
    lake = MemoryStore()
    lake.put_once(f"{layout.trials_folder(KEY)}/notes.txt", b"x")
    assert read_trials(lake, KEY) == {}

"""Finding jobs: words of names, prompts, files, models and states."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.jobs.queue.queue import Queue
from core.types import Lora, MediaInput
from tests.fakes.queue_jobs import request


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Queue]:
    with Queue(tmp_path_factory.mktemp("search")) as opened:
        opened.add(
            [
                request(1, prompt="A dancer in the STRASSE, at dusk"),
                request(2, motion=MediaInput("C:\\Videos\\Café Müller.mp4"), model="steadydancer-14b"),
                request(3, loras=(Lora("/loras/watercolour.safetensors"),), preset="draft"),
            ],
            ["One", "Two 100%", "Drei"],
        )
        opened.cancel(opened.rows()[2].id)
        yield opened


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("", ["One", "Two 100%", "Drei"]),
        ("one", ["One"]),
        ("dancer DUSK", ["One"]),
        ("dusk dancer one", ["One"]),
        ("straße", ["One"]),
        ("cafe muller", ["Two 100%"]),
        ("CAFÉ", ["Two 100%"]),
        ("videos", []),
        ("14b", ["Two 100%"]),
        ("anna", ["One", "Two 100%", "Drei"]),
        ("anna cancelled", ["Drei"]),
        ("queued", ["One", "Two 100%"]),
        ("watercolour", ["Drei"]),
        ("draft", ["Drei"]),
        ("100%", ["Two 100%"]),
        ("1_0", []),
        ("dusk café", []),
    ],
)
def test_all_words_must_be_there_without_regard_to_case_and_accents(
    queue: Queue, search: str, names: list[str]
) -> None:
    assert [row.name for row in queue.rows(search=search)] == names


def test_a_search_goes_with_states_and_with_a_part_of_the_list(queue: Queue) -> None:
    assert [row.name for row in queue.rows({"queued"}, "anna")] == ["One", "Two 100%"]
    assert [row.name for row in queue.rows({"queued"}, "anna", limit=1)] == ["One"]
    assert [row.name for row in queue.rows(None, "anna", limit=5, offset=1)] == ["Two 100%", "Drei"]
    assert [row.name for row in queue.rows(limit=2)] == ["One", "Two 100%"]
    assert [row.name for row in queue.rows(limit=2, offset=2)] == ["Drei"]
    assert [row.name for row in queue.rows(offset=2)] == ["Drei"]


def test_a_new_name_is_found_and_the_old_one_is_not(tmp_path: Path) -> None:
    with Queue(tmp_path) as queue:
        (job,) = queue.add([request()], ["before"])
        queue.rename(job.id, "Après")
        assert not queue.rows(search="before")
        assert [row.name for row in queue.rows(search="apres")] == ["Après"]

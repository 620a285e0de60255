"""The contracts at the end of pyproject.toml hold, and each of them can be broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.independence import IndependenceContract
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import Contract

from tests.project.files import ROOT

CONTRACTS: dict[str, Callable[..., Contract]] = {
    "forbidden": ForbiddenContract,
    "independence": IndependenceContract,
    "layers": LayersContract,
}


@cache
def configuration() -> dict[str, Any]:
    return dict(read_configuration(str(ROOT / "pyproject.toml")))


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    """Every import of both packages, those of other packages included."""
    packages = configuration()["session_options"]["root_packages"]
    return grimp.build_graph(*packages, include_external_packages=True, cache_dir=None)


def broken(imports: grimp.ImportGraph) -> Iterator[str]:
    """The names of the contracts that these imports break."""
    for options in configuration()["contracts_options"]:
        contract = CONTRACTS[options["type"]](options["name"], configuration()["session_options"], options)
        if not contract.check(deepcopy(imports), verbose=False).kept:
            yield options["name"]


def test_every_contract_is_kept(imports: grimp.ImportGraph) -> None:
    """Where this fails, `make imports` shows which import breaks which contract."""
    assert list(broken(imports)) == []


BREACHES = [
    ("fc_reaper.evaluator.evaluate", "os", "The evaluation is pure"),
    ("fc_reaper.evaluator.evaluate", "fc_reaper.cloud", "Imports go down the layers"),
    ("fc_reaper.events.parser", "fc_reaper.policy", "Imports go down the layers"),
    ("fc_reaper.sweep.scanner", "fc_reaper.run", "Imports go down the layers"),
    ("fc_reaper.sweep.scanner", "time", "A sweep is given its clock and its log"),
    ("fc_reaper.run", "requests", "Only cloud uses the network"),
    ("fc_reaper.handler", "typer", "The deployed function does without the extras"),
    ("fc_reaper.cli.app", "fc_emulator.app", "fc_reaper and fc_emulator are independent"),
    ("fc_emulator.routes", "fc2", "The emulator uses no client of the platform"),
]


@pytest.mark.parametrize(("importer", "imported", "contract"), BREACHES)
def test_a_forbidden_import_is_found(
    imports: grimp.ImportGraph, importer: str, imported: str, contract: str
) -> None:
    assert importer in imports.modules
    changed = deepcopy(imports)
    changed.add_import(importer=importer, imported=imported)
    assert [name for name in broken(changed) if name.startswith(contract)]


def test_a_module_without_a_layer_is_found(imports: grimp.ImportGraph) -> None:
    changed = deepcopy(imports)
    changed.add_module("fc_reaper.helpers")
    assert [name for name in broken(changed) if name.startswith("Imports go down the layers")]

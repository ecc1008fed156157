"""Where to find the test of a module: it has the module's name, or stands in the table below with what it holds."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
TESTS, SOURCE = ROOT / "tests", ROOT / "src" / "flyball"

HOLDS = {
    "test_architecture.py": "",
    "test_backends.py": "",
    "test_doctests.py": "",
    "test_general_rooms.py": "",
    "test_make.py": "../../Makefile",
    "test_mirror.py": "../../tests",
    "test_packaging.py": "../../packaging/flyball_build.py",
    "test_readable.py": "../../tests/readable.py",
    "test_skips.py": "../../tests/conftest.py",
    "test_words.py": "../../docs/reference/glossary.md",
    "cli/test_hostile_text.py": "cli/show core/printable core/spreadsheet_cells",
    "cli/test_changed_declarations.py": "cli events/evolution events/upgrade",
    "cli/test_export.py": "cli/events history",
    "cli/test_help.py": "cli/main cli/sections",
    "cli/test_narrow_tables.py": "cli/learning cli/show",
    "docs/test_extending.py": "../../docs/how-to/extend",
    "docs/test_pages.py": "../../docs ../../README.md",
    "docs/test_reference.py": "../../docs/reference",
    "docs/test_worlds_page.py": "../../docs/reference/worlds.md",
    "evaluation/test_movielens.py": "evaluation tasks/recommend models",
    "evaluation/test_new_items.py": "tasks/recommend/evaluation_set tasks/recommend/item_index",
    "evaluation/test_one_sitting.py": "tasks/recommend/request_times evaluation",
    "evaluation/test_propensity.py": "tasks/recommend/metrics/propensity evaluation/choice",
    "evaluation/test_protocols.py": "evaluation/published",
    "features/test_apply_delays.py": "features/online/freshness",
    "features/test_declarations.py": "features/declaration",
    "features/test_feature_laws.py": "features/offline",
    "features/test_offline_oracle.py": "features/offline/point_in_time",
    "features/test_online_cases.py": "features/online",
    "features/test_online_equals_oracle.py": "features/online",
    "features/test_online_keeping.py": "features/online/consumer features/online/rebuild",
    "features/test_real_data.py": "features",
    "features/test_sort_kernels.py": "features/offline/kernels/sort",
    "features/test_value_edges.py": "features/offline features/online",
    "history/test_schema_changes.py": "history/parts history/columns history/digest",
    "history/test_snapshots.py": "history/snapshot history/manifest history/digest",
    "learning/test_known_later.py": "learning/snapshot history tasks/recommend/interactions",
    "learning/test_learn.py": "learning/run",
    "learning/test_parts.py": "learning",
    "learning/test_searching.py": "learning/tuning learning/trials",
    "models/test_every_model.py": "models",
    "models/test_memory.py": "models",
    "models/test_more_oracles.py": "models/recommenders models/kernels",
    "models/test_oracles.py": "models/recommenders models/kernels",
    "models/test_real_data.py": "models/recommenders",
    "models/test_smaller.py": "models/combined/pruned models/combined/quantized models/combined/distilled",
    "models/test_solvers.py": "models/recommenders models/kernels",
    "models/test_updates.py": "models/recommenders",
    "models/tabular/test_tabular_models.py": "models/tabular testing/tabular_checks",
    "models/tabular/calibration/test_calibration_maps.py": "models/tabular/calibration models/kernels/calibration",
    "operations/test_crossing.py": "operations/process_specs operations/state outcomes/prediction",
    "operations/test_joined_application.py": "operations/consumers events/joiner outcomes state",
    "mutations/test_mutations.py": "features events/early_stop evaluation policy releases outcomes",
    "outcomes/test_find.py": "outcomes/prediction",
    "outcomes/test_one_meaning.py": "tasks/labels outcomes/consumer tasks/recommend/state/signals",
    "policy/test_policy.py": "policy",
    "provenance/test_audit_cost.py": "provenance/audit provenance/log_features",
    "provenance/test_declarations.py": "provenance/recompute serving/versions",
    "provenance/test_drafted.py": "provenance outcomes/prediction serving/answering",
    "provenance/test_feature_profiles.py": "monitoring/profiles/feature_profiles",
    "provenance/test_known_time.py": "features/online/freshness history/manifest",
    "provenance/test_new_films.py": "provenance tasks/recommend/item_index",
    "provenance/test_past.py": "provenance/rebuild",
    "registry/test_arrangements.py": "registry/store",
    "registry/test_registry.py": "registry/sqlite registry/store registry/migrate",
    "registry/test_searches.py": "registry/tuning registry/migrations",
    "releases/test_releases.py": "releases/change releases/state",
    "serving/test_arranged_arms.py": "serving/answering/engine serving/versions/refresher",
    "serving/test_background.py": "serving/versions/refresher serving/prediction_writer",
    "serving/test_connections.py": "serving/processes/dispatcher",
    "serving/test_failures.py": "serving/answering/engine serving/versions",
    "serving/test_http.py": "serving/http",
    "serving/test_interface.py": "serving/http/openapi serving/http/documents",
    "serving/test_event_types.py": "serving/event_intake serving/http/operators access/keys events/checking",
    "serving/test_sent_again.py": "serving/event_intake serving/http/decoding events/client_ids",
    "serving/test_flood.py": "testing/flood",
    "serving/test_hostile_requests.py": "serving/processes/server serving/http/decoding testing/mutated",
    "serving/test_protocol.py": "serving/processes/server serving/processes/request_time",
    "simulation/worlds/test_delivery_world.py": "simulation/worlds/delivery",
    "simulation/worlds/test_fraud_world.py": "simulation/worlds/fraud",
    "simulation/worlds/test_movie_life.py": "simulation/worlds/movies",
    "simulation/worlds/test_movie_lists.py": "simulation/worlds/movies/lists",
    "simulation/worlds/test_shop.py": "simulation/worlds/shop",
    "simulation/worlds/test_world_shifts.py": "simulation/worlds",
    "state/test_catalog_and_replay.py": "state/catalog state/replay",
    "tasks/predict/test_control_group.py": "tasks/predict/examples learning/snapshot",
    "tasks/predict/test_arranged_costs.py": "tasks/predict/thresholds releases/arrangements",
    "tasks/predict/test_equal_rates.py": "tasks/predict/thresholds policy/group_thresholds provenance/explain",
    "tasks/predict/test_renames.py": "tasks/predict events/original_names",
    "tasks/predict/test_whole_loop.py": "tasks/predict",
    "tasks/predict/test_over_http.py": "tasks/predict serving/http",
    "tasks/predict/test_bad_input.py": "tasks/predict serving/file_answers tasks/request events/checks",
    "tasks/predict/test_without_version.py": "tasks/predict/online tasks/predict/decisions serving/answering/engine",
    "state/test_offline.py": "tasks/recommend/state/interactions",
    "state/test_online.py": "state/consumer tasks/recommend/state",
    "state/test_popular_offline.py": "tasks/recommend/state/popularity_offline",
    "state/test_schema_changes.py": "state/view state/profiles",
    "state/test_views.py": "state/view",
    "stores/test_stores.py": "stores",
    "statistics/test_false_positives.py": "statistics",
    "statistics/test_published.py": "../../benchmarks/vectors.py",
    "statistics/test_refusals.py": "statistics",
    "releases/test_equal_canaries.py": "../../benchmarks/canaries.py",
    "tasks/metrics/test_general_metrics.py": "tasks/metrics",
    "tasks/metrics/test_recommend_metrics.py": "tasks/recommend/metrics",
    "tasks/test_attributes.py": "tasks/recommend/interactions",
    "tasks/test_behind.py": "tasks/recommend/known tasks/featurize",
    "tasks/test_edited_keys.py": "app tasks serving/versions/learned_otherwise ../../docs/reference/edits.md",
    "tasks/test_influence_cap.py": "tasks/recommend/interactions",
    "tasks/test_placed.py": "tasks/recommend/item_index tasks/recommend/pipeline",
    "tasks/test_recommend.py": "tasks/recommend/declaration",
    "tasks/test_shares.py": "tasks/recommend/ranking_dataset",
    "toy/test_delivery.py": "tasks/task",
}
"""{test module: the modules and rooms it holds}, below src/flyball; "" is all of it."""


def modules_of_tests() -> list[Path]:
    return sorted(TESTS.rglob("test_*.py"))


def mirrors(test: Path) -> bool:
    """Whether a module of the same name is in the test's room, at any depth."""
    room = test.relative_to(TESTS).parts[0] if test.parent != TESTS else ""
    name = test.name.removeprefix("test_")
    return any(True for _ in (SOURCE / room).rglob(name)) if room else (SOURCE / name).exists()


def exists(held: str) -> bool:
    path = SOURCE / held
    return path.exists() or path.with_name(f"{path.name}.py").exists()


def test_a_test_has_the_name_of_its_module_or_says_what_it_holds() -> None:
    tests = [test for test in modules_of_tests() if test.parent.name != "live"]  # those hold whole processes
    named = {test.relative_to(TESTS).as_posix() for test in tests if not mirrors(test)}
    assert named - HOLDS.keys() == set(), "name it after the module it tests, or add it to HOLDS"
    assert HOLDS.keys() - named == set(), "mirrors a module, or is not there any more"


def test_what_tests_hold_is_there() -> None:
    missing = {test: held for test, modules in HOLDS.items() for held in modules.split() if not exists(held)}
    assert missing == {}


def test_every_test_module_says_in_a_sentence_what_it_holds() -> None:
    silent = [str(test) for test in modules_of_tests() if not ast.get_docstring(ast.parse(test.read_text()))]
    assert silent == []


def test_helpers_do_not_stand_in_test_modules() -> None:
    """What several test modules use is in a plain file of the folder, or in flyball.testing."""
    imported = [
        f"{path.relative_to(TESTS)}: {node.module}"
        for path in sorted(TESTS.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").rpartition(".")[2].startswith("test_")
    ]
    assert imported == []

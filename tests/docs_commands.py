"""Every command of the README, docs/ and clients/, and how it is tested: run here, run by a test that is named, or why
not.

A command is a line of a block without a language or with `bash`, an indented line, or a `span`, that begins with a
program. The first rule whose pattern fits the whole command counts. tests/test_docs_commands.py says of which
command there is none, and which rule has no command.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "clients").glob("*/README.md")),
]
PROGRAMS = (
    *("python", "python3", "pip", "pytest", "torchrun", "mkdocs", "pre-commit", "pas-de-deux", "pas-de-deux-train"),
    *("cp", "mkdir", "ls", "source", "ssh", "oscsend", "blender", "caddy", "htpasswd", "sudo", "systemctl", "docker"),
    *("./start.sh", ".ci/run", ".ci/lock", ".ci/audit", "benchmarks/interop.sh", "curl", "git", "nvidia-smi"),
)
_BEGINS = re.compile(rf"(?:{'|'.join(map(re.escape, PROGRAMS))})(?=\s|$)")
_SHELL = ("", "bash", "sh", "console")


class Unit(NamedTuple):
    """Commands that stand in one block, in order."""

    page: str
    commands: tuple[str, ...]


class Run(NamedTuple):
    """It is run in a copy of the checkout. more: what is added; so: what is said in place of what. slow: minutes."""

    more: str = ""
    so: tuple[tuple[str, str], ...] = ()
    slow: bool = False


class ByTest(NamedTuple):
    """Tests that run the same program, as `file::test`; here its options are looked for in its own help."""

    tests: tuple[str, ...]


class Elsewhere(NamedTuple):
    """It cannot run here, or is run by something else than a test."""

    why: str


How = Run | ByTest | Elsewhere


def by_test(*tests: str) -> ByTest:
    return ByTest(tests)


_TRAIN = {  # the kinds of models, and a test that trains each by the command line
    "duet": "test_train::test_one_command_trains_exports_and_says_last_how_to_go_live",
    "labelled": "test_labelled_training::test_the_command_leaves_a_partner_with_a_dial_for_every_set",
    "upsampler": "test_upsampler_training::test_the_command_leaves_a_model_that_answers",
    "upsampler_points": "test_upsampler_training::test_points_of_pictures_are_a_kind_of_their_own",
    "drmm": "test_drmm_export::test_the_command_trains_and_exports_a_table",
    "identity_action": "test_identity_action_training::test_a_run_goes_on_in_the_stage_it_was_in",
    "identity_action_images": "test_identity_images::test_both_stages_learn_something",
}
_NO_PAGE = "--seconds 0.3 --no-page"
_IN_CI = Elsewhere(".ci/run installs into a fresh environment and runs the tests, the docs and the demo in it")

RULES: dict[str, How] = {
    # The environment.
    r"python3 -m venv .venv && source .venv/bin/activate": _IN_CI,
    r"pip install -e \.( && python run_server.py)?": _IN_CI,
    r"pip install -e '.\[\w+\]'( && (pytest|mkdocs serve))?": _IN_CI,
    r"pip install 'pas-de-deux\[fbx\]'": _IN_CI,
    r"python -m build|pas-de-deux (demo|my/show.yaml)": Elsewhere(
        ".ci/run builds a wheel, installs it elsewhere and runs a show by name"
    ),
    r"pip install pyzmq numpy": Elsewhere("into another program's environment"),
    r"pip install --target \S+ pyzmq": Elsewhere("into TouchDesigner's Python"),
    r"pip install pre-commit && pre-commit install": Elsewhere("hooks of a person's own clone"),
    r"pip install --require-hashes -r requirements.lock && pip install --no-deps \.": by_test(
        "test_lock::test_every_package_is_locked_by_version_and_hash"
    ),
    r"pytest -m slow( tests/test_torchrun.py)?": Elsewhere("minutes of tests, run by hand"),
    r"\.ci/(lock|audit|run)( --upgrade)?": Elsewhere("asks the package index"),
    # Shows.
    r"python run_server.py PRESET --check": Run(so=(("PRESET", "presets/demo.yaml"),)),
    r"python run_server.py PRESET --log-format json": Run(_NO_PAGE, (("PRESET", "presets/demo.yaml"),)),
    r"python run_server.py --input TAKE.bvh --render OUT.bvh": Run(so=(("--input", "presets/demo.yaml --input"),)),
    r"python run_server.py \S+ --input \S+ --render \S+( --render-dancer DANCER.bvh --seed 3)?": Run(),
    r"python run_server.py presets/live_vmc.yaml --record takes": Run(_NO_PAGE, (("live_vmc", "demo"),)),
    r"python run_server.py presets/live_vmc.yaml --replay takes\S*( --speed 0)?": Run(
        "--no-page", (("live_vmc", "demo"), ("takes/2026-05-14_20-31-07", "takes"))
    ),
    r"python run_server.py": Run(_NO_PAGE, (("run_server.py", "run_server.py presets/demo.yaml"),)),
    r"python run_server.py presets/\w+\.yaml": Run(_NO_PAGE),
    r"python -m benchmarks.suit \S+ --protocol \w+ --to \S+( --fps \d+)?( --loop)?": Run("--seconds 0.3"),
    r"python run_server.py PRESET --replay crashes/\S+": by_test(
        "test_crash::test_a_show_that_breaks_off_leaves_what_it_was_and_a_second_that_dances_again"
    ),
    r"(sudo (useradd|cp|systemctl)|systemctl) .*": Elsewhere("a service, on the operator's machine"),
    # Pictures and poses for others.
    r"python -m server.keys \w+( --token| --out \w+)?": Run(),
    r"python -m server.keys": Elsewhere("named without a name, which stands in the commands beside it"),
    r"mkdir keys/clients && cp guests/anna.key keys/clients": Run(),
    r"python subscribe.py( tcp://192.168.1.20:39550)?": by_test(
        "test_third_party::test_the_example_subscriber_reads_dancer_and_partner"
    ),
    r"python subscribe.py \S+ show.key anna.key_secret": by_test(
        "test_zmq_doors::test_the_python_client_reads_files_of_keys"
    ),
    r"blender --python import_recording.py -- partner.bvh": Elsewhere(
        "benchmarks/interop.sh runs it, with Blender's bpy"
    ),
    r"benchmarks/interop.sh": by_test("test_interop::test_a_client_gets_every_frame"),
    r"oscsend 127.0.0.1 9002 /partner1/energy f 1.2": by_test(
        "test_steering::test_a_program_of_another_house_gives_a_cue"
    ),
    r"ssh -L .*|caddy hash-password|ls -l keys": Elsewhere("another program, on the operator's machine"),
    # Recordings.
    r"python -m exporters.inspect \S+": Run(so=(("MODEL", "presets/models/salsa_match.onnx"),)),
    r"python -m exporters.recording takes --out bvh": Run(),
    r"python -m exporters.upsample take.bvh --rate 8 --out take_x8.bvh": Run(),
    r"python -m exporters.upsample FOLDER --rate 2.5 --out OTHER --compare --gif film.gif": by_test(
        "test_upsample::test_a_folder_of_recordings_goes_into_a_folder",
        "test_upsample::test_the_plain_ways_stand_beside_what_was_made",
        "test_upsample::test_a_film_shows_before_and_after",
    ),
    r"python -m exporters.upsample": Elsewhere("named without arguments, which its page has"),
    r"python -m exporters.infill( .*)?": by_test("test_infill::test_the_command_fills_in_a_recording_at_its_own_rate"),
    r"python -m training.prepare_motion RECORDINGS --out runs/motion.npz": by_test(
        "test_prepare_motion::test_the_command_starts_by_itself"
    ),
    r"python -m training.prepare_amass AMASS amass.h5 .*": by_test("test_amass::test_everybody_can_get_the_same_bones"),
    r"python -m training.prepare_joint_limits FOLDER": by_test(
        "test_joint_limits::test_the_command_writes_the_table_and_says_what_it_cannot_find"
    ),
    # Training: by the kind; the configuration that is named is read and the command line parsed as well.
    **{rf"python -m training.train {kind} .*": by_test(test) for kind, test in _TRAIN.items()},
    r"python -m training.train pose_drmm .*": by_test(
        "scorecards/test_drmm_command::test_a_pose_model_meets_pins_within_the_limits"
    ),
    r"python -m training.train motion_drmm .*": by_test(
        "scorecards/test_drmm_command::test_a_motion_model_has_likelihoods_and_nothing_of_other_kinds"
    ),
    r"python -m training.train (KIND|duet_match|duet_window|deepfake) .*": Run(
        "--no-results", (("KIND", "duet_window"),)
    ),
    r"torchrun .*": by_test("test_torchrun::test_two_processes_have_the_losses_of_one_with_twice_the_batch"),
    r"(python -m training.quickstart|python run_server.py runs/quickstart/).*": by_test(
        "test_quickstart::test_two_recordings_become_a_partner_and_a_stopped_run_goes_on"
    ),
    r"python -m training.sweep .*": by_test(
        "test_sweep::test_a_sweep_leaves_the_best_config_and_goes_on_with_more_trials"
    ),
    r"cp runs/.* presets/models/": Elsewhere("copies what the commands above it leave"),
    r"python -m training.examples.demo_dancer .*": Elsewhere("twenty minutes; test_demo_clip holds what it made"),
    r"python -m training.examples.swissroll": by_test(
        "test_swissroll::test_the_tutorial_trains_draws_and_says_what_it_missed"
    ),
    r"python -m training.examples.drmm_report .*": by_test(
        "test_drmm_report::test_the_report_trains_draws_and_takes_what_is_there"
    ),
    r"python -m exporters.onnx runs/mine/last.ckpt \S+( --graph effort_meter)?": Run(),
    # Labels.
    r"python -m training.label --agreement ada.csv ben.csv": by_test(
        "test_label_agreement::test_the_report_has_every_pair_and_the_confusion"
    ),
    r"python -m training.label --blind .*": by_test(
        "test_label_page::test_blind_clips_have_no_names_and_the_evaluation_reads_what_was_said"
    ),
    r"python -m training.label .*": by_test("test_label_page::test_the_command_serves_the_page_and_ends_on_sigterm"),
    # Figures.
    r"python -m training.evaluate labelled .*": by_test(
        "test_labelled_training::test_an_evaluation_leaves_figures_pictures_films_and_clips_for_people"
    ),
    r"python -m training.results.identity_action .*": by_test(
        "test_identity_action_training::test_what_a_model_makes_of_recordings_can_be_seen"
    ),
    r"python -m training.results.identity_films .*": by_test(
        "test_identity_images::test_films_codes_and_periods_are_left_to_look_at"
    ),
    r"python -m training.results.style .*": by_test("test_results::test_style_reads_recordings_as_the_training_did"),
    r"python -m training.scorecard identity_action runs/pendulum/last.ckpt": by_test(
        "test_identity_images::test_the_scorecard_judges_films_and_their_period"
    ),
    r"python -m training.scorecard identity_action .*": by_test(
        "test_identity_scorecard::test_the_command_writes_every_figure_of_a_model_of_motion"
    ),
    r"python -m training.scorecard labelled .*": by_test(
        "test_labelled_training::test_a_scorecard_has_the_same_figures_of_any_recordings"
    ),
    r"python -m training.scorecard duet .*": by_test(
        "scorecards/test_scorecard_command::test_every_subject_has_every_figure_or_null_and_only_unseen_takes_count",
        "scorecards/test_scorecard_command::test_folds_are_trained_by_the_recipe_that_the_model_names",
    ),
    r"python -m training.scorecard upsampler .*": by_test(
        "scorecards/test_upsampler_command::test_every_subject_has_every_key_and_what_cannot_be_had_is_null",
        "scorecards/test_upsampler_command::test_the_table_is_measured_by_folds_and_written_into_the_model_that_is_served",
    ),
    r"python -m training.scorecard drmm .*": by_test(
        "scorecards/test_drmm_command::test_a_motion_model_has_likelihoods_and_nothing_of_other_kinds"
    ),
    # Speed.
    r"python -m benchmarks.drmm": Run("--threads 1 --steps 1 --warm-up 1 --answers 1"),
    r"python -m benchmarks.latency( --against presets/\w+.yaml)?": Run("--seconds 0.5 --rounds 1"),
    r"python -m benchmarks.gpu( --json gpu.json)?": by_test(
        "test_benchmark_gpu::test_without_a_card_it_says_so_and_that_is_no_fault"
    ),
    r"python -m benchmarks.flood": Run("--datagrams 200 --rounds 1 --seconds 0.5"),
    r"python -m benchmarks.page( --screen 800x1280)?": by_test(
        "test_benchmark_page::test_somebody_is_seen_and_moves_in_a_real_browser"
    ),
    r"python -m benchmarks.viewers": Run("--viewers 3 --seconds 1 --rounds 1", slow=True),
    r"python -m benchmarks.fuzz --inputs 1000000": Run(so=(("1000000", "100"),)),
    r"python -m benchmarks.soak --minutes 30": Run(so=(("30", "2"),), slow=True),
    r"python -m benchmarks.soak --minutes 3 --switch PRESET": Run(
        so=(("minutes 3", "minutes 2"), ("PRESET", "presets/deepfake.yaml")), slow=True
    ),
    r"python -m benchmarks.latency --all( --seconds 20)?( --stages)?": Run("--seconds 1", slow=True),
    r"python -m benchmarks.restart": Run("--times 1"),
    r"python -m benchmarks.dancers": Run("--pairs 1 --seconds 2"),
    r"python -m benchmarks.profile PRESET": Elsewhere("py-spy draws it, which may not look at processes everywhere"),
    r"python -m benchmarks.training": by_test("test_benchmark_training::test_a_side_runs"),
    r"python docs/make_wire_reference.py": by_test("test_docs::test_the_wire_reference_is_what_the_code_says"),
}


def rule(command: str) -> str | None:
    """The pattern of the first rule that fits."""
    return next((pattern for pattern in RULES if re.fullmatch(pattern, command)), None)


def units() -> list[Unit]:
    """All of them, each once."""
    return list(dict.fromkeys(unit for page in PAGES for unit in _of(page)))


def _of(page: Path) -> Iterator[Unit]:
    name = page.relative_to(ROOT).as_posix()
    text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
    prose = re.sub(r"^```(\w*)\n(.*?)^```", "", text, flags=re.DOTALL | re.MULTILINE)
    blocks = [body for language, body in _fenced(text) if language in _SHELL]
    blocks += re.findall(r"(?:^    \S.*\n)+", prose, re.MULTILINE)
    for block in blocks:
        commands = tuple(filter(None, map(_command, block.splitlines())))
        if commands:
            yield Unit(name, commands)
    for span in re.findall(r"`([^`]+)`", re.sub(r"^    .*$", "", prose, flags=re.MULTILINE)):
        command = _command(span.replace("\n", " "))
        if " " in command or command.startswith((".", "benchmarks/")):
            yield Unit("", (command,))


def _fenced(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def _command(line: str) -> str:
    """A line without its comment, its spaces single; empty where it begins with no program."""
    line = " ".join(re.sub(r"\s#\s.*", "", line).split())
    return line if _BEGINS.match(line) else ""

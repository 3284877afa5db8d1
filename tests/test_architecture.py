"""What may import what: the rooms of the package, from the top floor down, without a circle."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = {"dqn_mer": ROOT / "dqn_mer", "continual_ple": ROOT / "envs" / "continual_ple"}

MAY_IMPORT: dict[str, set[str]] = {
    "_former_names": set(),
    "periods": set(),
    "continual_ple": set(),
    "losses": set(),
    "storage": set(),
    "reservoir": set(),
    "networks": {"storage"},
    "reptile_every": set(),
    "config": {"mer_parameters", "ranges", "continual_ple"},
    "mer": {"mer_parameters", "networks", "storage"},
    "mer_parameters": {"ranges"},
    "mini_batch": {"mer", "networks", "storage"},
    "ranges": set(),
    "analysis": {"config", "storage", "continual_ple"},
    "evaluation": {"ranges", "networks", "analysis", "config", "storage", "continual_ple"},
    "fast": {"mer", "mini_batch", "losses", "networks"},
    "runs": {"fast", "config", "storage"},
    "agents": {"periods", "fast", "losses", "mer", "reservoir", "networks", "config", "storage", "continual_ple"},
    "supervised": {
        *("runs", "fast", "mer", "mer_parameters", "mini_batch", "ranges", "losses", "reservoir", "networks"),
        *("storage", "analysis", "config"),
    },
    "training": {
        *(
            "_former_names",
            "periods",
            "runs",
            "agents",
            "fast",
            "evaluation",
            "analysis",
            "networks",
            "config",
            "storage",
        ),
        "continual_ple",
    },
}
"""Room -> the rooms below it that its files may import; a room's own files are always allowed."""

TOP = {"commands", "public", "__init__", "__main__"}
"""What stands above all rooms and may import any of them."""


def imported_modules(path: Path) -> Iterator[str]:
    """Yield the dotted name of every module of ours that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = (
                [f"{node.module}.{alias.name}" for alias in node.names] if node.module in PACKAGES else [node.module]
            )
        for name in names:
            if name.partition(".")[0] in PACKAGES:
                yield name


def room_of(path: Path) -> str:
    """Return the room that a file of ours is in."""
    if PACKAGES["continual_ple"] in path.parents:
        return "continual_ple"
    return path.relative_to(PACKAGES["dqn_mer"]).parts[0].removesuffix(".py")


def room_named(module: str) -> str:
    """Return the room of a dotted name."""
    package, _, rest = module.partition(".")
    return package if package == "continual_ple" else rest.partition(".")[0] or "__init__"


MOST_LINES_OF_FILE, MOST_LINES_OF_FUNCTION, MOST_ARGUMENTS = 250, 40, 8
"""More than this, and it is two things: of a function without its docstring."""

FILES = sorted(path for folder in PACKAGES.values() for path in folder.rglob("*.py"))
OURS = [path for path in FILES if PACKAGES["dqn_mer"] in path.parents and path.name != "config.py"]


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_a_room_imports_only_the_rooms_below_it(path: Path) -> None:
    room = room_of(path)
    if room in TOP:
        return
    assert room in MAY_IMPORT, f"{path}: a new room needs a row in MAY_IMPORT"
    for module in imported_modules(path):
        other = room_named(module)
        assert other in {room, *MAY_IMPORT[room]}, f"{path.relative_to(ROOT)} imports {module}"


def test_every_permission_is_used() -> None:
    used: dict[str, set[str]] = {room: set() for room in MAY_IMPORT}
    for path in FILES:
        if room_of(path) in used:
            used[room_of(path)] |= {room_named(module) for module in imported_modules(path)}
    assert {room: rooms - used[room] for room, rooms in MAY_IMPORT.items() if rooms - used[room]} == {}


def test_the_compiled_kernels_import_nothing_of_ours() -> None:
    for path in (PACKAGES["dqn_mer"] / "fast" / "kernels").glob("*.py"):
        others = [name for name in imported_modules(path) if not name.startswith("dqn_mer.fast.kernels")]
        assert not others, f"{path.name} imports {others}"


def test_what_takes_which_form_is_chosen_in_one_place() -> None:
    """Others see `fast.choose`, and whether Numba could be imported, which is reported."""
    for path in OURS:
        if room_of(path) in ("fast", "__init__"):
            continue
        used = {name for name in imported_modules(path) if name.startswith("dqn_mer.fast")}
        assert used <= {"dqn_mer.fast.choose", "dqn_mer.fast.kernels.dense"}, f"{path.relative_to(ROOT)} imports {used}"
    for path in (PACKAGES["dqn_mer"] / "fast").glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert "COMPILED" not in names or path.name == "choose.py", path.name


def test_commands_do_not_import_each_other() -> None:
    folder = PACKAGES["dqn_mer"] / "commands"
    for path in folder.glob("*.py"):
        own = {"errors", *(other.stem for other in folder.glob(f"{path.stem.partition('_')[0]}_*.py")), path.stem}
        for name in imported_modules(path):
            if name.startswith("dqn_mer.commands."):
                assert name.split(".")[2] in own, f"{path.name} imports {name}"


def lines_of_code(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return the length of a function without its docstring."""
    first = node.body[0]
    has_docstring = ast.get_docstring(node) is not None
    return (node.end_lineno or 0) - node.lineno + 1 - has_docstring * ((first.end_lineno or 0) - first.lineno + 1)


def arguments_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many arguments a function takes, without itself."""
    arguments = node.args
    return len([*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]) - (node.name == "__init__")


@pytest.mark.parametrize("path", OURS, ids=[str(path.relative_to(ROOT)) for path in OURS])
def test_no_file_or_function_is_two_things(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MOST_LINES_OF_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert lines_of_code(node) <= MOST_LINES_OF_FUNCTION, node.name
            assert arguments_of(node) <= MOST_ARGUMENTS, node.name


def test_the_rooms_stand_on_at_most_eight_floors_without_a_circle() -> None:
    def floor(room: str, above: tuple[str, ...] = ()) -> int:
        assert room not in above, f"a circle: {' -> '.join((*above, room))}"
        return 1 + max((floor(below, (*above, room)) for below in MAY_IMPORT[room]), default=0)

    assert max(map(floor, MAY_IMPORT)) + 1 <= 8  # and the commands on top


@pytest.mark.parametrize(
    "statement", ["import dqn_mer", "import dqn_mer.__main__", "import dqn_mer.config.command_line"]
)
def test_what_answers_at_once_loads_no_torch(statement: str) -> None:
    code = f"import sys; {statement}; print([name for name in ('torch', 'numba', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_a_run_loads_no_torch() -> None:
    code = "import sys; import dqn_mer.analysis.runs; print([n for n in ('torch', 'matplotlib') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""The pages: their links lead somewhere, each opens with what the reader gets, what they say the code says, too."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from docs_commands import ROOT
from server import preset as presets
from server.app import Show

DOCS = ROOT / "docs"
ALL = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted(DOCS.glob("*.md")),
    *sorted((ROOT / "clients").glob("*/README.md")),
    *sorted((ROOT / "presets/models").glob("*.md")),
]
STEER = (DOCS / "steer.md").read_text(encoding="utf-8")
OWN = ("demo", "install", "suits", "steer", "tour", "models", "troubleshooting", "wire-reference")


def relative(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """What headings of a page are called in links, as GitHub and MkDocs make it of them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title.lower()).strip()) for title in titles}


@pytest.mark.parametrize("page", ALL, ids=relative)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if "://" in link:
            assert re.fullmatch(r"https?://[\w.-]+\.\w+(/[^\s<>]*)?", link), link
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("name", OWN)
def test_a_page_of_the_first_hour_opens_with_what_the_reader_gets(name: str) -> None:
    title, nothing, first, *_ = (DOCS / f"{name}.md").read_text(encoding="utf-8").splitlines()
    assert title.startswith("# ")
    assert nothing == ""
    assert first.startswith("You get: ")


def test_every_page_is_in_the_navigation() -> None:
    site = re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    navigation = str(yaml.safe_load(site)["nav"])
    missing = [page.name for page in DOCS.glob("*.md") if f"'{page.name}'" not in navigation]
    assert missing in (["progress.md"], [])


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_wire_reference", DOCS / "make_wire_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_wire_reference_is_what_the_code_says() -> None:
    written = (DOCS / "wire-reference.md").read_text(encoding="utf-8")
    assert written == maker().page(), "python docs/make_wire_reference.py writes it anew"


def test_every_shipped_model_is_on_its_page() -> None:
    page = (DOCS / "models.md").read_text(encoding="utf-8")
    shipped = {model.name for model in (ROOT / "presets/models").glob("*.onnx")}
    assert set(re.findall(r"^\| `(\w+\.onnx)`", page, re.MULTILINE)) == shipped


def test_every_shipped_model_has_credits() -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    shipped = [model.name for model in (ROOT / "presets/models").iterdir() if model.suffix in (".onnx", ".ckpt")]
    assert [name for name in shipped if name not in notice] == []


def test_every_shipped_suit_is_on_its_page() -> None:
    page = (DOCS / "suits.md").read_text(encoding="utf-8")
    for path in (ROOT / "presets").glob("live_*.yaml"):
        dancer = presets.load(path).dancers["dancer1"]
        assert re.search(rf"presets/{path.name}` \| UDP {dancer.port} \|", page), path.name


def steering(section: str) -> list[str]:
    """The messages of a chapter of the page, as they are written in its tables."""
    chapter = STEER.split(f"\n## {section}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `/.*$", chapter, re.MULTILINE)
    return [message for row in rows for message in re.findall(r"`(/[^`]+)`", row)]


@pytest.mark.parametrize(
    ("section", "preset"),
    [
        ("Any partner", "demo"),
        ("By labels", "effort"),
        ("In somebody's manner", "manner"),
        ("Hands, feet, places", "stay_in_circle"),
    ],
)
def test_every_message_of_the_page_is_obeyed(section: str, preset: str, tmp_path: Path) -> None:
    path = ROOT / f"presets/{preset}.yaml"
    told = yaml.safe_load(path.read_text(encoding="utf-8")) | {"outputs": [], "stage_page": "off"}
    show = Show(presets.parse(told | {"control": {"port": 0, "oscquery": "off"}}, path), path)
    try:
        messages = steering(section)
        assert len(messages) >= 3
        refused: list[object] = []
        for message in messages:
            address, *words = message.split()
            arguments = tuple(float(word) if re.fullmatch(r"-?[\d.]+", word) else word for word in words)
            assert show.steering is not None
            show.steering.desk.ask(address, arguments, lambda *_: None, lambda *why: refused.append(why))
        assert refused == []
    finally:
        show.close()


def test_the_cues_of_the_page_are_cues_of_the_demo() -> None:
    path = ROOT / "presets/demo.yaml"
    cues = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", STEER, re.DOTALL)[0])
    assert len(presets.parse(yaml.safe_load(path.read_text(encoding="utf-8")) | cues, path).cues) == 4


@pytest.mark.parametrize("word", sorted(set(re.findall(r"`(\w+)`", (DOCS / "troubleshooting.md").read_text("utf-8")))))
def test_every_figure_and_key_of_the_troubles_is_one_of_the_servers(word: str) -> None:
    known = [*(ROOT / "server").rglob("*.py"), *(ROOT / "clients").rglob("*.md")]
    assert any(re.search(rf"(?<!\w){word}(?!\w)|\b{word.partition('_')[0]}_\{{", f.read_text("utf-8")) for f in known)


def test_the_versions_agree() -> None:
    project = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    assert project is not None
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == project[1]
    assert f"\n## {project[1]}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

"""Who is judged by which takes: models by what they have not seen, recipes by the models of their folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from server.onnx_model import OnnxModel
from training.scorecards.takes import Take, has_seen

Team = Sequence[OnnxModel]  # who dances each take: one model, or of a recipe's models the one that holds it out


@dataclass(frozen=True)
class Cast:
    """teams: by subject, for each of the `given` takes. judged: places of the takes that count; folds: of those, by
    their places among the judged, which were held out together (all of them, where there are no folds).
    """

    given: Sequence[Take]
    teams: Mapping[str, Team]
    judged: Sequence[int]
    folds: Sequence[Sequence[int]]
    in_folds: bool

    @property
    def takes(self) -> list[Take]:
        """The takes that count."""
        return [self.given[place] for place in self.judged]

    def team(self, subject: str) -> list[OnnxModel]:
        """Who dances each of the takes that count."""
        return [self.teams[subject][place] for place in self.judged]

    def seen_by(self, place: int) -> list[str]:
        """The subjects that dance a given take with a model that was trained on it."""
        return [name for name, team in self.teams.items() if has_seen(team[place].manifest, self.given[place])]

    def with_models(self, models: Mapping[str, OnnxModel]) -> Cast:
        """The same takes, danced by more models, seen or not."""
        more = {name: [model] * len(self.given) for name, model in models.items()}
        return Cast(self.given, {**self.teams, **more}, self.judged, self.folds, self.in_folds)


def cast_unseen(models: Mapping[str, OnnxModel], given: Sequence[Take]) -> Cast:
    """Every model dances; takes that any of them was trained on do not count, unless there are no others."""
    cast = Cast(given, {}, [], [], in_folds=False).with_models(models)
    unseen = [place for place in range(len(given)) if not cast.seen_by(place)] or list(range(len(given)))
    return Cast(given, cast.teams, unseen, [range(len(unseen))], in_folds=False)


def cast_folds(models: Mapping[str, Sequence[OnnxModel]], given: Sequence[Take]) -> Cast:
    """Every take is danced by the one of a subject's models that has not seen it.

    Raises ValueError unless there is one such model, and when two subjects' models hold out different takes.
    """
    teams: dict[str, Team] = {}
    splits: dict[str, list[list[int]]] = {}
    for subject, of_subject in models.items():
        chosen = [_unseen_by(of_subject, take) for take in given]
        teams[subject] = [of_subject[number] for number in chosen]
        folds = [[place for place, fold in enumerate(chosen) if fold == number] for number in range(len(of_subject))]
        splits[subject] = [fold for fold in folds if fold]
    (first, split), *others = splits.items()
    for other, of_other in others:
        if sorted(of_other) != sorted(split):
            raise ValueError(f"the folds of {other} hold out other takes than those of {first}; train both alike")
    return Cast(given, teams, range(len(given)), split, in_folds=True)


def _unseen_by(models: Sequence[OnnxModel], take: Take) -> int:
    numbers = [number for number, model in enumerate(models) if not has_seen(model.manifest, take)]
    if len(numbers) != 1:
        names = ", ".join(models[number].path.name for number in numbers)
        raise ValueError(f"{take.name} must be unseen by one fold's model, not by: {names or 'none'}")
    return numbers[0]

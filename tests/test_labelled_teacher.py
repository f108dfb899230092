"""What the labelled partner's classifier is taught of windows that nobody has labelled."""

import pytest
import torch
from torch.nn import functional as F

from labelled_models import SETS, fitted, small_batch, small_model
from training.labels import NONE
from training.models.labelled_networks import Classifier, felt
from training.models.labelled_teacher import Teacher, agreement


def given(count: int = 12) -> tuple[Classifier, torch.Tensor]:
    model = fitted()
    batch, window = small_batch(model, count), model.config.window
    return model.classifier, felt(batch["moves"][:, :window], batch["positions"][:, :window])


def test_agreement_is_the_cross_entropy_of_what_nobody_has_labelled() -> None:
    labels = torch.tensor([[NONE], [1], [NONE], [NONE]])
    log_q, taught = torch.randn(4, 3).log_softmax(dim=1), torch.rand(4, 3).softmax(dim=1)
    unknown = [0, 2, 3]
    each = F.cross_entropy(log_q[unknown], taught[unknown], reduction="sum") / 4
    assert agreement(labels, [log_q], [taught]).item() == pytest.approx(0.5 * each.item(), rel=1e-5)
    assert agreement(labels[:2], [log_q[:2]], [taught[:2]]).item() == 0.0


def test_a_teacher_is_an_average_of_the_classifier_and_says_every_label_as_often() -> None:
    classifier, windows = given()
    teacher, bias = Teacher(), classifier.out[1].bias
    torch.nn.init.zeros_(classifier.out[1].weight)
    teacher.labels(classifier, windows)
    before = bias.detach().clone()
    with torch.no_grad():
        bias[:2] = torch.tensor([2.0, -2.0])  # the first label of the first set, always
    teacher.labels(classifier, windows)
    assert teacher._own is not None
    kept = 1.0 / 11.0
    torch.testing.assert_close(teacher._own.out[1].bias, kept * before + (1.0 - kept) * bias.detach())
    for _ in range(200):
        space, time = teacher.labels(classifier, windows)
    assert time.shape == (12, 3)
    assert classifier.judged(windows)[0].exp().mean(dim=0)[0].item() > 0.95
    torch.testing.assert_close(space, torch.full((12, 2), 0.5), atol=0.01, rtol=0.0)


@pytest.mark.parametrize(("labelled", "taught"), [(0, True), (2, True), (6, False), (12, False)])
def test_few_labels_are_taught_by_a_teacher_and_many_alone(labelled: int, taught: bool) -> None:
    gradients = []
    for agree in (0.0, 0.5):
        model = small_model(agree=agree)
        labels = torch.stack([torch.arange(24).view(12, 2) % len(each) for _, each in SETS], dim=2)
        labels[labelled:] = NONE
        batch = small_batch(model, 12, labels)
        model.fit_statistics(batch)
        torch.manual_seed(1)
        model.loss(batch)[0].backward()
        gradients.append(torch.cat([each.grad.flatten() for each in model.parameters() if each.grad is not None]))
    assert torch.equal(*gradients) != taught


def test_a_teacher_is_there_for_training_alone_and_in_no_checkpoint() -> None:
    model = fitted()
    batch = small_batch(model, 4)
    assert "agreement" not in model.loss(batch)[1]
    names = set(model.state_dict())
    assert "agreement" in model.train().loss(batch)[1]
    assert set(model.state_dict()) == names

"""Comparing two datasets: which models are fitted on what, and what they read.

Owns: `compare` and `measure`, which carries out a tier's runs. Refuses: deciding (`decision.py`),
and the steps or the engine that made the data: it reads texts.

Arm A is the baseline, arm B the challenger: `better` means that B is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from datatools import __version__
from datatools.errors import ConfigError
from datatools.judge.arm import HALF, Arm, ArmLike, read_arm
from datatools.judge.contamination import seen_shares
from datatools.judge.decision import problems, recompute
from datatools.judge.neural import NeuralVoice, shared_tokenizer
from datatools.judge.ngram import NgramVoice
from datatools.judge.receipts import ArmFacts, DocumentReceipt, Header, Receipts, RunReceipt
from datatools.judge.reference import ReferenceSet, bundled_reference
from datatools.judge.tiers import NeuralPlan, PlannedRun, Tier, resolve_tier
from datatools.judge.verdict import Verdict
from datatools.judge.voice import Voice
from datatools.records import make_id

if TYPE_CHECKING:
    from datatools.train.tokenizer import Tokenizer

__all__ = ["Progress", "compare", "measure"]

Floats = npt.NDArray[np.float64]

Progress = Callable[[int, int, str], None]
"""Called after each run with the runs done, the runs in all, and what was done."""

_TOKENIZER_BYTES: Final = 4_000_000
_TOKENIZER_DRAW: Final = -1
_MOST_BYTES_PER_TOKEN: Final = 6


def compare(
    a: ArmLike,
    b: ArmLike,
    *,
    tier: str | Tier = "smoke",
    seed: int = 0,
    names: tuple[str, str] = ("A", "B"),
    reference: ReferenceSet | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Decide whether dataset B teaches a small language model more than dataset A.

    Swapping `a` and `b` negates the effect and its interval exactly, and the order of documents in
    a list changes nothing.

    Args:
        a: The baseline: a published dataset's folder, a frame, or a list of documents or strings.
        b: The challenger, in any of the same forms.
        tier: Name of a tier, or a tier.
        seed: Names all draws.
        names: What the verdict calls the arms.
        reference: Neutral texts to read; the package's own held-out texts by default. Give texts
            that neither arm was made from.
        progress: Told about every run.

    Returns:
        The verdict. Use `measure` and `decision.recompute` to keep the receipts as well.

    Raises:
        ConfigError: No such tier, a dataset without texts, or two arms of one name.
        DataError: An arm or the reference cannot be read.

    Example:
        >>> from datatools.judge.corrupt import shuffle_words
        >>> from datatools.judge.arm import Text
        >>> from datatools.judge.tiers import TIERS
        >>> tier = TIERS["smoke"].model_copy(update={"neural": None, "min_arm_bytes": 0})
        >>> sentence = "the cat sat on the mat and the dog lay down"
        >>> clean = [Text(str(at), sentence) for at in range(40)]
        >>> neutral = ReferenceSet.of({"id": str(at), "text": sentence} for at in range(40))
        >>> compare(shuffle_words(clean, 1.0), clean, tier=tier, reference=neutral).decision
        'better'
    """
    return recompute(
        measure(a, b, tier=tier, seed=seed, names=names, reference=reference, progress=progress)
    )


def measure(
    a: ArmLike,
    b: ArmLike,
    *,
    tier: str | Tier = "smoke",
    seed: int = 0,
    names: tuple[str, str] = ("A", "B"),
    reference: ReferenceSet | None = None,
    progress: Progress | None = None,
) -> Receipts:
    """Carry out a tier's runs and return their receipts; arguments are those of `compare`.

    Nothing is fitted when the arms or the reference rule a verdict out.
    """
    tier = resolve_tier(tier)
    if names[0] == names[1]:
        raise ConfigError("names", "must differ", got=names)
    arm_a, arm_b = read_arm(a, names[0]), read_arm(b, names[1])
    reference = bundled_reference() if reference is None else reference
    facts_a, facts_b = _facts(arm_a), _facts(arm_b)
    ids = {one.id for one in arm_a.documents}
    header = Header(
        version=__version__,
        tier=tier,
        seed=seed,
        a=facts_a,
        b=facts_b,
        shared_ids=sum(one.id in ids for one in arm_b.documents),
        reference=reference.digest(),
    )
    documents = _documents(reference, arm_a, arm_b)
    runs: list[RunReceipt] = []
    losses: list[Floats] = []
    if not problems(tier, facts_a, facts_b, documents):
        bench = _Bench(tier, seed, arm_a, arm_b)
        texts = [one.text for _, one in reference.items()]
        planned = tier.runs()
        for run in planned:
            receipt, nll = bench.carry_out(run, texts)
            runs.append(receipt)
            losses.append(nll)
            if progress is not None:
                name = names[0] if run.arm == "A" else names[1]
                what = f"{receipt.voice} {run.regime} {run.role} {run.draw} on {name}"
                progress(len(runs), len(planned), what)
    nll = np.array(losses, dtype=np.float64).reshape(len(runs), len(documents))
    return Receipts(header, documents, tuple(runs), nll)


def _facts(arm: Arm) -> ArmFacts:
    return ArmFacts(name=arm.name, documents=len(arm.documents), size=arm.size, digest=arm.digest())


def _documents(reference: ReferenceSet, a: Arm, b: Arm) -> tuple[DocumentReceipt, ...]:
    items = reference.items()
    pieces = [one for _, one in items]
    seen_a, seen_b = seen_shares(pieces, a.texts), seen_shares(pieces, b.texts)
    return tuple(
        DocumentReceipt(
            id=one.id,
            domain=domain,
            cluster=one.cluster,
            language=one.language,
            size=one.size,
            seen_a=float(seen_a[at]),
            seen_b=float(seen_b[at]),
        )
        for at, (domain, one) in enumerate(items)
    )


class _Bench:
    """The arms of one comparison with what all its runs share: budgets and a tokenizer."""

    def __init__(self, tier: Tier, seed: int, a: Arm, b: Arm) -> None:
        self.tier = tier
        self.seed = seed
        self.arms = {"A": a, "B": b}
        self.half = int(HALF * min(a.size, b.size))
        self._neural: tuple[Tokenizer, int] | None = None
        self._whole: dict[str, Floats] = {}

    def carry_out(self, run: PlannedRun, reference: list[str]) -> tuple[RunReceipt, Floats]:
        """Fit one model and let it read the reference."""
        texts = self._texts(run)
        voice, tokens = self._voice(run)
        # Both arms of a draw start from the same weights and take their rows in the same order.
        model_seed = int(make_id("judge model", self.seed, run.draw)[:7], 16)
        start = time.perf_counter()
        if voice.deterministic and run.regime == "source-matched" and self._share() == 1.0:
            # Every draw is the whole arm: one model serves them all.
            if run.arm not in self._whole:
                self._whole[run.arm] = voice.fit(texts, model_seed).nll(reference)
            nll = self._whole[run.arm]
        else:
            nll = voice.fit(texts, model_seed).nll(reference)
        receipt = RunReceipt(
            planned=run,
            voice=voice.name,
            texts=len(texts),
            size=sum(len(text.encode("utf-8", "surrogatepass")) for text in texts),
            tokens=tokens,
            seconds=time.perf_counter() - start,
        )
        return receipt, nll

    def _texts(self, run: PlannedRun) -> list[str]:
        arm = self.arms[run.arm]
        if run.voice == "neural":
            plan = self._plan()
            budget = min(self.half, _MOST_BYTES_PER_TOKEN * plan.tokens)
            return arm.take_bytes(budget, seed=self.seed, draw=run.draw)
        most = self.tier.ngram.max_bytes
        if run.regime == "token-matched":
            return arm.take_bytes(min(self.half, most), seed=self.seed, draw=run.draw)
        return arm.take_share(self._share(), seed=self.seed, draw=run.draw)

    def _share(self) -> float:
        """Return the share of the source that source-matched runs see: all of it, if it fits.

        Half of it would not do: of a page and its copies a draw misses all less often than it
        misses a single page, so the arm with the duplicates would be shown more of the source.
        """
        larger = max(one.size for one in self.arms.values())
        return min(1.0, self.tier.ngram.max_bytes / larger)

    def _voice(self, run: PlannedRun) -> tuple[Voice, int | None]:
        if run.voice == "ngram":
            return NgramVoice(self.tier.ngram.order), None
        plan = self._plan()
        if self._neural is None:
            self._neural = self._prepare(plan)
        tokenizer, tokens = self._neural
        return NeuralVoice(tokenizer, plan.size, tokens, run.rate), tokens

    def _plan(self) -> NeuralPlan:
        plan = self.tier.neural
        assert plan is not None
        return plan

    def _prepare(self, plan: NeuralPlan) -> tuple[Tokenizer, int]:
        """Train the tokenizer on as many bytes of either arm; find the tokens of every run."""
        budget = min(2 * self.half, _TOKENIZER_BYTES)
        a, b = (
            self.arms[name].take_bytes(budget, seed=self.seed, draw=_TOKENIZER_DRAW)
            for name in ("A", "B")
        )
        tokenizer = shared_tokenizer(a, b, plan.size)
        held = min(sum(len(ids) for ids in tokenizer.encode(texts)) for texts in (a, b))
        # A run draws `half` bytes; the arm with the fewer tokens per byte sets the number for both.
        available = int(held * min(self.half, _MOST_BYTES_PER_TOKEN * plan.tokens) / budget)
        return tokenizer, min(plan.tokens, plan.max_epochs * available)

"""The inspector's panels: each answers one question about the slate on show, and computes only when it is open."""

from collections.abc import Callable, Iterable
from typing import Final

import streamlit as st

from dashboard import components, controls, words
from dashboard.loaders import recommendations as loaders
from dashboard.loaders.films import film_facts, search_titles
from dashboard.tabs import draw_open
from dashboard.theme import Mode
from recommender.answers import Sensitivity, WhyNot
from recommender.slates import Slate, SlateItem
from workspace.columns import Interaction

_SHOWN_FEATURES: Final = 15
_SHOWN_HISTORY: Final = 18
_SHOWN_SENSITIVITIES: Final = 10
_MOST_REMOVED: Final = 2


def mode() -> Mode:
    """Return the mode the visitor's browser is in."""
    return "dark" if st.context.theme.type == "dark" else "light"


def chosen_film(slate: Slate) -> str | None:
    """Let one film be chosen, of the slate or by the address."""
    films = {item.film_id: f"{item.rank} · {components.plain(item.title)}" for item in slate.items}
    linked = st.query_params.get("film")
    if linked and linked not in films:
        title = film_facts(linked).get("title")
        if title:
            films[linked] = f"{components.plain(title)} (not in this slate)"
    return controls.choose_one("Film to explain", films, "film") if films else None


def why(slate: Slate, film_id: str) -> None:
    """Break the score down by block and by named feature."""
    told = loaders.explanation(slate, film_id)
    item = next((item for item in slate.items if item.film_id == film_id), None)
    score = item.score if item else told.score
    blocks = item.contributions if item else told.blocks
    terms = _largest_first((words.block(name), value) for name, value in blocks.items())
    left, right = st.columns(2)
    with left:
        components.waterfall(terms, score, caption=f"Score of {told.title} by block; the parts add up to it")
    if item and abs(told.score - item.score) > loaders.SAME_SCORE:
        components.banner(
            f"The user's history has changed since this slate was logged: the score would be {told.score:.4f} now.",
            "The table above is as logged, the ones below as of now.",
        )
    features = _largest_first((words.feature(term.block, term.feature), term.value) for term in told.features)
    rest = sum(value for _, value in features[_SHOWN_FEATURES:])
    shown = [*features[:_SHOWN_FEATURES], *([(f"{len(features) - _SHOWN_FEATURES} more", rest)] if rest else [])]
    with right:
        components.table(
            ("Feature", "Adds"), [(name, components.amount(value)) for name, value in shown], numeric=("Adds",),
            total=("Score", f"{told.score:.4f}"), caption="The same score by named feature",
        )  # fmt: skip


def _largest_first(terms: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted((term for term in terms if term[1] != 0), key=lambda term: -abs(term[1]))


def history(slate: Slate, film_id: str) -> None:
    """Break the score down by film of the history, and show the history."""
    from dashboard import figures

    told = loaders.explanation(slate, film_id)
    terms = _largest_first(
        (term.title if term.film_id else words.unattributed(term.title), term.value) for term in told.history
    )
    rest = sum(value for _, value in terms[_SHOWN_HISTORY:])
    shown = [*terms[:_SHOWN_HISTORY], *([(f"{len(terms) - _SHOWN_HISTORY} more", rest)] if rest else [])]
    st.subheader("What each film of the history adds", anchor=False)
    figure = figures.history_bars(shown, mode=mode())
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="history_bars")
    components.show(f'<p class="rr-muted">These parts add up to the score, {told.score:.4f}.</p>')
    acts = loaders.history(slate)
    if acts.empty:
        _cold_start()
        return
    acts = acts.assign(kind=acts[Interaction.KIND].map(words.KINDS).fillna(acts[Interaction.KIND]))
    st.dataframe(
        acts, hide_index=True, height=260, alt="The user's history, newest acts and their weights",
        column_order=("title", "kind", "value", "ts", "weight", "film_id"),
        column_config={"ts": st.column_config.DatetimeColumn("when", format="YYYY-MM-DD")},
    )  # fmt: skip


def _cold_start() -> None:
    components.banner(
        "This user has no history by this date.",
        "Only the priors speak: quality, popularity at the time and newness, under the rules of the region. "
        "The first act recorded gives the user a profile at once.",
    )


def what_if(slate: Slate, film_id: str) -> None:
    """Recommend again without one or two films of the history."""
    acts = loaders.history(slate)
    if acts.empty:
        _cold_start()
        return
    titles = dict(zip(acts["film_id"].astype(str), acts["title"].map(components.plain), strict=True))
    without = controls.choose_some(
        "Leave out of the history", titles, "without", most=_MOST_REMOVED, placeholder="One film or two"
    )
    if without:
        answer = loaders.what_if(slate, without)
        _side_by_side(("With the whole history", answer.before), ("Without the chosen films", answer.after))
        if not answer.entered:
            components.banner("The same films stay; only scores move.")
    pairs = st.toggle("Pairs of films", key="pairs", bind="query-params")
    _sensitivities(loaders.sensitivities(slate, film_id, pairs=pairs))


def _sensitivities(found: list[Sensitivity]) -> None:
    ordered = sorted(found, key=lambda one: one.score_change)[:_SHOWN_SENSITIVITIES]
    rows = [(" + ".join(one.titles), components.amount(one.score_change), one.new_rank) for one in ordered]
    components.table(
        ("Left out", "Score changes by", "New rank"), rows, numeric=("Score changes by", "New rank"),
        caption="The film chosen above, recomputed without each of these; the most harmful first",
    )  # fmt: skip


def why_not(slate: Slate, _: str) -> None:
    """Say why any film of the catalogue is not in the slate."""
    typed = st.text_input(
        "Title of the film you miss", key="find", bind="query-params", placeholder="Begin to type a title, then Enter"
    )
    if not typed:
        components.show('<p class="rr-muted">Any film of the catalogue can be asked for, by title or by id.</p>')
        return
    found = search_titles(typed)
    if not found and film_facts(typed):
        found = {typed: str(film_facts(typed)["title"])}
    if not found:
        components.banner(f"No film's title fits “{typed}”.", "Try fewer letters, or the film's id.", tone="warn")
        return
    wanted = controls.choose_one(
        "Which of these", {film: components.plain(title) for film, title in found.items()}, "wanted"
    )
    if wanted:
        _verdict(slate, loaders.why_not(slate, wanted))


def _verdict(slate: Slate, answer: WhyNot) -> None:
    tone: components.Tone = "good" if answer.verdict == "recommended" else "warn"
    sentence = answer.sentence
    if answer.rule:
        sentence = sentence.replace(f"“{answer.rule}”", f"“{words.rule(answer.rule)}”")
    components.banner(words.VERDICTS[answer.verdict], sentence, tone=tone)
    terms = _largest_first((words.block(name), value) for name, value in answer.gap.items())
    if terms and answer.score is not None and answer.score_at_k is not None:
        from dashboard import figures

        figure = figures.contribution_waterfall(
            terms,
            start=(f"Film at rank {answer.k}", answer.score_at_k), end=("This film", answer.score), mode=mode(),
        )  # fmt: skip
        st.subheader(f"The gap to rank {answer.k}, term by term", anchor=False)
        st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="gap")
    components.funnel(slate.funnel)


def funnel(slate: Slate, _: str) -> None:
    """Show what each rule left over."""
    components.funnel(slate.funnel)


def vectors(slate: Slate, film_id: str) -> None:
    """Show the numbers that are multiplied."""
    frame = loaders.raw_vectors(slate, film_id)
    sums = frame.groupby("block", sort=False)["product"].agg(["size", "sum"])
    rows = [
        (words.block(str(name)), f"{int(size):,}", components.amount(total)) for name, size, total in sums.itertuples()
    ]
    components.table(
        ("Block", "Dimensions", "Sum of products"), rows,
        total=("Score", f"{len(frame):,}", f"{frame['product'].sum():.4f}"),
        numeric=("Dimensions", "Sum of products"), caption="Weight × user × film, summed by block",
    )  # fmt: skip
    st.dataframe(frame, hide_index=True, height=320, alt="Every dimension of the user's and the film's vector")
    st.download_button(
        "Download as CSV", frame.to_csv(index=False), f"vectors-{slate.slate_id}-{film_id}.csv", "text/csv",
        on_click="ignore",
    )  # fmt: skip


def compare(slate: Slate, _: str) -> None:
    """Put another version's films beside the slate's."""
    others = [version for version in loaders.choices().versions if version != slate.index_version]
    if not others:
        components.banner(
            "There is only one index version.", "Build a second one to compare.",
            command="recommendr index build --without audience",
        )  # fmt: skip
        return
    other = st.selectbox("Compare with version", others, key="compare", bind="query-params")
    left, right = (
        (f"This slate, {slate.index_version}", slate.items),
        (other, loaders.under_version(slate, other).items),
    )
    _side_by_side(left, right)


def _side_by_side(left: tuple[str, tuple[SlateItem, ...]], right: tuple[str, tuple[SlateItem, ...]]) -> None:
    for column, (name, items), others in zip(st.columns(2), (left, right), (right[1], left[1]), strict=True):
        shared = {item.film_id for item in others}
        rows = [
            (item.rank, components.anchor(item.title, "film", film=item.film_id), f"{item.score:.4f}",
             components.pill("both", "good") if item.film_id in shared else components.pill("only here", "warn"))
            for item in items
        ]  # fmt: skip
        with column:
            components.table(("Rank", "Film", "Score", "In"), rows, numeric=("Score",), caption=name)


def replay(slate: Slate, _: str) -> None:
    """Make the slate again from the log and compare it bit for bit."""
    again = loaders.replay(slate.slate_id)
    if again.identical:
        components.banner(
            f"Slate {slate.slate_id} came again identical, bit for bit.",
            f"Made {slate.made_at:%Y-%m-%d %H:%M} UTC by {slate.index_version} on catalogue {slate.snapshot_id}, "
            f"seed {slate.seed}, searched by {slate.path} in {slate.latency_ms:.1f} ms.",
            tone="good",
        )
    else:
        components.banner(f"Slate {slate.slate_id} came again different.", "; ".join(again.differences), tone="bad")
    rows = [
        (components.anchor(one.slate_id, "recommendations", slate=one.slate_id, tab="Replay"),
         f"{one.made_at:%Y-%m-%d %H:%M}", one.on.isoformat(), one.region, one.index_version, len(one.items))
        for one in loaders.recent_slates(slate.user_id)
    ]  # fmt: skip
    components.table(
        ("Slate", "Made (UTC)", "For the date", "Region", "Version", "Films"), rows, numeric=("Films",),
        tight=("Made (UTC)", "For the date"),
        caption="The user's latest slates; each link opens one",
    )  # fmt: skip


PANELS: Final[dict[str, tuple[Callable[[Slate, str], None], bool]]] = {
    "Why": (why, True),
    "History": (history, True),
    "What if": (what_if, True),
    "Why not": (why_not, False),
    "Funnel": (funnel, False),
    "Vectors": (vectors, True),
    "Compare": (compare, False),
    "Replay": (replay, False),
}


def draw(slate: Slate) -> None:
    """Draw the tabs, and only the open one's panel."""
    film = chosen_film(slate)
    drawn = {name: _no_film if film is None and needs else panel for name, (panel, needs) in PANELS.items()}
    draw_open(drawn, slate, film or "")


def _no_film(_: Slate, __: str) -> None:
    components.banner("There is no film to explain.", "The Funnel tab says which rule stopped them.")

"""One film: its facts and who says so, its neighbours, who gets it, and where it lies."""

import streamlit as st

from dashboard import components, panels
from dashboard.loaders import films
from dashboard.loaders.films import FilmView
from workspace.errors import UnknownError


def page() -> None:
    """Draw the page."""
    film_id = st.query_params.get("film", "")
    if film_id:
        try:
            draw(films.film(film_id))
        except UnknownError as problem:
            components.heading("Film")
            components.error(problem)
            search()
        return
    components.heading("Film", "Facts, sources, neighbours and audience of any film.")
    search()


def search() -> None:
    """Find a film by its title."""
    typed = st.text_input("Title", key="find", bind="query-params", placeholder="Begin to type a title, then Enter")
    if not typed:
        components.banner("Which film?", "Type a title above, or follow a film from Recommendations.")
        return
    found = films.search_titles(typed)
    if not found:
        components.banner(f"No film's title fits “{typed}”.", "Try fewer letters, or the film's id.", tone="warn")
        return
    rows = [(components.anchor(title, "film", film=film_id), film_id) for film_id, title in found.items()]
    components.table(("Film", "Id"), rows, caption="Films whose title fits")


def draw(view: FilmView) -> None:
    """Draw one film."""
    components.named_heading("Film", view.title)
    tagline = f'<p class="rr-lede"><em>{components.text(view.tagline)}</em></p>' if view.tagline else ""
    summary = " · ".join(components.text(fact) for fact in view.summary)
    components.show(
        f'<p class="rr-meta">{summary} · '
        f"id {components.text(view.film_id)}</p>{tagline}"
        f'<p class="rr-film-synopsis">{components.text(view.synopsis or "No synopsis.")}</p>'
        f'<p><a href="{components.link("film")}" target="_self">Look for another film</a></p>'
    )
    facts, sources, neighbours, audience, where = st.tabs(
        ["Facts", "Sources", "Neighbours", "Who gets it", "Map"], key="view", bind="query-params"
    )
    if facts.open:
        with facts:
            components.table(("Fact", "Value"), view.facts, caption="As the catalogue has it")
    for tab, drawing in (
        (sources, draw_sources),
        (neighbours, draw_neighbours),
        (audience, draw_audience),
        (where, draw_map),
    ):
        if tab.open:
            with tab, components.guarded():
                drawing(view)


def draw_sources(view: FilmView) -> None:
    """Say which provider each field came from, and what the other said."""
    rows = [
        (
            field,
            provider,
            day,
            components.pill("agreed", "good") if agreed else components.pill("differs", "warn"),
            other,
        )
        for field, provider, day, agreed, other in view.sources
    ]
    columns = ("Field", "From", "Updated", "Providers", "Another said")
    components.table(columns, rows, caption="Where every filled field comes from")


def draw_neighbours(view: FilmView) -> None:
    """Show the nearest films and what makes them so."""
    if not view.neighbours:
        components.banner(
            "This film has no vector yet.", "It is newer than the index.",
            command="recommendr index build --strategy incremental",
        )  # fmt: skip
        return
    rows = [
        (components.anchor(title, "film", film=film_id, view="Neighbours"), f"{similarity:.3f}", because)
        for film_id, title, similarity, because in view.neighbours
    ]
    columns = ("Film", "Similarity", "Mostly by")
    components.table(
        columns,
        rows,
        numeric=("Similarity",),
        caption="The nearest films: mean cosine over the content blocks, and the blocks most alike",
    )


def draw_audience(view: FilmView) -> None:
    """Show how many users have the film among their five."""
    found = films.who_gets(view.film_id)
    total = found["users"]
    shown = {region: number for region, number in found["by_region"].items() if number is not None}
    components.stats(
        [
            (
                "Users with it among their five",
                "fewer than 10" if total is None else f"{total:,}",
                "today, without filters",
            )
        ]
    )
    if shown:
        rows = [(region, f"{number:,}") for region, number in sorted(shown.items(), key=lambda one: -one[1])]
        components.table(("Region", "Users"), rows, numeric=("Users",), caption="By region")
    if total is None or found["suppressed"]:
        components.banner("Counts below 10 are withheld.", "They could point at single people.")


def draw_map(view: FilmView) -> None:
    """Draw every film on a plane, this one marked."""
    from dashboard import figures

    components.banner("Illustrative: a projection to two dimensions. Distances on it are not scores.")
    figure = figures.film_map(films.projection(), view.film_id, mode=panels.mode())
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False, "scrollZoom": True}, key="map")


page()

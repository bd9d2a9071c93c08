"""The composed console: app, command line, access, theme, figures and components over the domain packages."""

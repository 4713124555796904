"""mien in the browser alone: the TypeScript package of `web/`, the models, a page without a server."""

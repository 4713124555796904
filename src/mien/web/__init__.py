"""mien in the browser alone: the files of the TypeScript package in `web/`, the models, and a page that needs no server."""

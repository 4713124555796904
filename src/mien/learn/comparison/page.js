// Sort the table by a column: once for the best first, again for the other way round, a third time for the systems' order.
(() => {
  const table = document.getElementById("figures");
  const bodies = [...table.tBodies];
  const rows = bodies.flatMap((body) => [...body.rows].filter((row) => !row.classList.contains("group")));
  const home = new Map(rows.map((row) => [row, row.parentNode]));
  const buttons = [...table.querySelectorAll("thead button")];
  const sorted = document.createElement("tbody");
  const upFirst = (column) => buttons[column].dataset.up === "1";
  let column = -1;
  let turns = 0;
  const key = (row) => row.cells[column + 1].dataset.sort;
  const draw = () => {
    buttons.forEach((button, at) => button.parentNode.removeAttribute("aria-sort"));
    table.classList.toggle("sorted", column >= 0);
    if (column < 0) {
      sorted.remove();
      rows.forEach((row) => { row.className = ""; home.get(row).append(row); });
      bodies.forEach((body) => { body.hidden = false; });
      return;
    }
    const up = upFirst(column) === (turns === 0);
    const known = rows.filter((row) => key(row) !== "").sort((a, b) => (up ? 1 : -1) * (key(a) - key(b)));
    rows.forEach((row) => { row.className = home.get(row).className; });
    bodies.forEach((body) => { body.hidden = true; });
    sorted.append(...known, ...rows.filter((row) => key(row) === ""));
    table.append(sorted);
    buttons[column].parentNode.setAttribute("aria-sort", up ? "ascending" : "descending");
  };
  buttons.forEach((button, at) => button.addEventListener("click", () => {
    turns = column === at ? turns + 1 : 0;
    column = turns > 1 ? -1 : at;
    draw();
  }));
})();

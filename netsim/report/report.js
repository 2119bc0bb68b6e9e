"use strict";

// Each group of slots gets a slider that shows one of them.
for (const group of document.querySelectorAll(".slots")) {
  const slots = [...group.querySelectorAll(":scope > .slot")];
  const slider = group.querySelector("input");
  const output = group.querySelector("output");
  const show = () => {
    slots.forEach((slot, i) => slot.classList.toggle("current", i === slider.value - 1));
    output.textContent = `${slider.value} of ${slots.length}`;
    slider.setAttribute("aria-valuetext", slots[slider.value - 1].querySelector("h4").textContent);
  };
  if (slots.length > 1) {
    group.querySelector(".slider").hidden = false;
    group.classList.add("sliding");
    slider.addEventListener("input", show);
    show(); // a reloaded page keeps the slider's place
  }
}

// Tables sort by a column: numbers by their value, "33.1 [32.8, 33.4]" as 33.1; cells without one stand last.
const compare = (a, b, isText) => {
  if (isText) return a.localeCompare(b, undefined, { numeric: true });
  const [x, y] = [parseFloat(a), parseFloat(b)];
  return Number.isNaN(x) || Number.isNaN(y) ? 0 : x - y;
};

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const isText = head.classList.contains("text");
      const before = head.getAttribute("aria-sort");
      const up = before ? before === "descending" : isText;
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const text = (row) => row.cells[column].textContent;
      const empty = (row) => !isText && Number.isNaN(parseFloat(text(row)));
      const rows = [...body.rows].sort((a, b) =>
        empty(a) - empty(b) || (up ? 1 : -1) * compare(text(a), text(b), isText));
      for (const row of rows) row.classList.remove("begins");
      body.append(...rows);
    });
  });
}

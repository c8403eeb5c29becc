// What pages gain where scripts run. Nothing here is needed for any action.
"use strict";

// Nothing is evaluated, and no style is added: the content security policy forbids both.
htmx.config.allowEval = false;
htmx.config.includeIndicatorStyles = false;
// Answers to refused forms are pages with the reason; they are to be seen.
htmx.config.responseHandling = [
  { code: "204", swap: false },
  { code: "...", swap: true },
];

// "/" goes to the search field.
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const search = document.querySelector("input[type=search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
});

// One menu is open at a time; Escape and a click elsewhere close it.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// A box that ticks all boxes of its form.
document.addEventListener("change", (event) => {
  if (!event.target.matches("input[data-all]")) return;
  for (const box of event.target.form.querySelectorAll("input[name=item]")) box.checked = event.target.checked;
});

// What can be undone says for how long.
const ends = new WeakMap();
setInterval(() => {
  for (const clock of document.querySelectorAll("[data-left]")) {
    if (!ends.has(clock)) ends.set(clock, performance.now() + Number(clock.dataset.left));
    const left = Math.ceil((ends.get(clock) - performance.now()) / 1000);
    if (left > 0) clock.textContent = `${left} s`;
    else clock.closest("[data-passing]")?.remove();
  }
}, 250);

// Makes a button of each column header, so that a keyboard sorts too; without JavaScript headers stay text.
for (const head of document.querySelectorAll("table.sortable > thead th")) {
  const button = document.createElement("button");
  button.type = "button";
  button.title = "Sort by this column";
  button.append(...head.childNodes);
  head.append(button);
}

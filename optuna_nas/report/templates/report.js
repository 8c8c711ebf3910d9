(function () {
  "use strict";
  var root = document.documentElement;
  function shade(name) { return getComputedStyle(root).getPropertyValue(name).trim(); }

  // Figures carry no colours of their own for text, grid and background: the theme decides.
  function themed(layout) {
    var ink = shade("--soft"), grid = shade("--grid"), card = shade("--card");
    var result = Object.assign({}, layout, {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: ink, size: 13, family: getComputedStyle(document.body).fontFamily },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: grid, activecolor: ink },
      hoverlabel: { bgcolor: card, bordercolor: grid, align: "left", font: { color: shade("--ink") } }
    });
    Object.keys(layout).forEach(function (key) {
      if (/^[xy]axis\d*$/.test(key)) {
        result[key] = Object.assign({}, layout[key], {
          gridcolor: grid, linecolor: grid, showgrid: layout[key].showgrid !== false,
          automargin: true
        });
      }
    });
    return result;
  }

  var settings = {
    responsive: true, displaylogo: false,
modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]]
  };
  function draw() {
    document.querySelectorAll(".chart").forEach(function (place) {
      var source = document.getElementById(place.dataset.figure);
      var figure = JSON.parse(source.textContent);
      if (!place.drawn) { place.textContent = ""; }
      Plotly.react(place, figure.data, themed(figure.layout || {}), settings);
      if (!place.drawn) {
        place.drawn = true;
        place.on("plotly_click", function (event) { reveal(event.points[0].customdata); });
      }
    });
  }
  function reveal(trial) {
    var row = document.getElementById("trial-" + trial);
    if (!row) { return; }
    document.querySelectorAll("tr.hit").forEach(function (old) { old.classList.remove("hit"); });
    row.classList.add("hit");
    row.scrollIntoView({ block: "center" });
  }

  document.querySelectorAll("table.sort").forEach(function (table) {
    var heads = table.tHead.rows[0].cells;
    Array.prototype.forEach.call(heads, function (head, column) {
      var button = head.querySelector("button");
      if (!button) { return; }
      button.addEventListener("click", function () {
        var up = head.getAttribute("aria-sort") !== "ascending";
        Array.prototype.forEach.call(heads, function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        var body = table.tBodies[0];
        Array.prototype.slice.call(body.rows).sort(function (a, b) {
          var x = a.cells[column].dataset.v, y = b.cells[column].dataset.v;
          if (x === y) { return 0; }
          if (x === "" || y === "") { return x === "" ? 1 : -1; }  // unknown stays last
          var order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
          return up ? order : -order;
        }).forEach(function (row) { body.appendChild(row); });
      });
    });
  });

  if (window.Plotly) { draw(); }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () {
    if (window.Plotly) { draw(); }
  });
})();

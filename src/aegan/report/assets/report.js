"use strict";
(() => {
  const coarse = matchMedia("(pointer: coarse)").matches;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const charts = [...document.querySelectorAll("[data-chart]")].map((el) => ({
    el, variants: JSON.parse(document.getElementById(el.dataset.chart).textContent),
  }));
  const view = { x: "samples", curve: "both" };

  function dressed(figure) {
    const css = getComputedStyle(document.documentElement), of = (name) => css.getPropertyValue(name).trim();
    const layout = structuredClone(figure.layout), data = structuredClone(figure.data);
    layout.font = { ...layout.font, color: of("--soft") };
    layout.title = { ...layout.title, font: { color: of("--ink") } };
    layout.legend = { ...layout.legend, font: { color: of("--ink") } };
    layout.hoverlabel = { bgcolor: of("--card"), bordercolor: of("--line"), font: { color: of("--ink") } };
    for (const key of new Set(["xaxis", "yaxis", ...Object.keys(layout).filter((k) => /^[xy]axis\d*$/.test(k))])) {
      layout[key] = { ...layout[key], gridcolor: of("--grid"), linecolor: of("--axis"), tickcolor: of("--axis") };
      if (coarse) layout[key].fixedrange = true;  // so that a finger scrolls the page, not the axis
    }
    for (const a of layout.annotations ?? []) if (a.font?.size >= 13) a.font.color = of("--ink");
    for (const trace of data) {
      if (trace.meta === "raw" && view.curve !== "both") {
        trace.visible = view.curve === "raw";
        Object.assign(trace, { opacity: 1, showlegend: trace.visible && !!trace.name });
      }
      if (trace.meta === "smooth") trace.visible = view.curve !== "raw";
    }
    return [data, layout];
  }

  function draw({ el, variants }) {
    const [data, layout] = dressed(variants[view.x] ?? variants.only);
    return Plotly.react(el, data, layout, { displayModeBar: false, doubleClick: "autosize" });
  }

  const fit = new ResizeObserver((entries) => {
    for (const e of entries) if (e.target.classList.contains("js-plotly-plot")) Plotly.Plots.resize(e.target);
  });
  const all = () => charts.filter((c) => c.drawn).forEach(draw);
  const show = (chart) => { if (!chart.drawn) { chart.drawn = true; draw(chart).then(() => fit.observe(chart.el)); } };
  const watch = new IntersectionObserver((entries) => {
    for (const e of entries) if (e.isIntersecting) show(charts.find((c) => c.el === e.target));
  }, { rootMargin: "600px" });
  charts.forEach((c) => watch.observe(c.el));
  dark.addEventListener("change", all);
  addEventListener("beforeprint", () => charts.forEach(show));

  for (const box of document.querySelectorAll(".frames")) {
    const slider = box.querySelector("input"), play = box.querySelector("button");
    const frames = [...box.querySelectorAll("figure")];
    const turn = () => frames.forEach((f, i) => { f.hidden = i !== Number(slider.value); });
    let timer = 0;
    const stop = () => { clearInterval(timer); timer = 0; play.textContent = "Play"; };
    slider.addEventListener("input", () => { stop(); turn(); });
    play.addEventListener("click", () => {
      if (timer) { stop(); return; }
      if (slider.value === slider.max) slider.value = 0;
      turn();
      play.textContent = "Pause";
      timer = setInterval(() => {
        slider.value = Number(slider.value) + 1;
        turn();
        if (slider.value === slider.max) stop();
      }, 600);
    });
  }

  for (const button of document.querySelectorAll(".switch button")) {
    button.addEventListener("click", () => {
      view[button.dataset.key] = button.dataset.value;
      for (const b of button.parentElement.children) b.setAttribute("aria-pressed", String(b === button));
      all();
    });
  }
})();

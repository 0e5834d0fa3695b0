// What a result of the search counts: pages to learn and to use come before the rooms inside.
const PLACES = { "learn/": 12, "use/": 8, "api/": 2, "inside/": -8 };
const ABOUT = { changelog: -20, contributing: -12, architecture: -12, license: -20 };
var Scorer = {
  score: ([page, , , , score]) =>
    score + (ABOUT[page] || 0) + (Object.entries(PLACES).find(([place]) => page.startsWith(place)) || [0, 0])[1],
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
};

// Runs before the first paint, so a chosen theme does not flash the other one. A file of its own: the policy of the page allows no inline script.
try {
  const theme = localStorage.getItem('runs.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage is closed to the page: the system's theme stays.
}

/** What every page gets. Rule: types only, beside the table of pages, which imports the pages. */
/** What the application hands to a page. */
export interface PageProps {
  /** Parameters of the path, decoded. */
  params: Readonly<Record<string, string>>;
}

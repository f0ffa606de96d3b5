/** A style sheet of a package, as text (scripts/build.mjs). */
declare module "*.css" {
  const text: string;
  export default text;
}

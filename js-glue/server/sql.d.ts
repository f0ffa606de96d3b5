// Migrations are imported as text; the build inlines them.
declare module "*.sql" {
  const text: string;
  export default text;
}

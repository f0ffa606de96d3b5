export default {
  rewrites: async () => [{ source: "/api/:path*", destination: `${process.env.OAS_API}/api/:path*` }],
};

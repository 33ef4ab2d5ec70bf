// PCL's voxel cloud connectivity segmentation (Papon et al., CVPR 2013) over a raw file of points.
// usage: vccs CLOUD LABELS VOXEL_SIZE SEED_SIZE COLOUR_IMPORTANCE
// CLOUD holds float32 x y z r g b a point; LABELS receives uint32 a point, 0 = left without one.
// Prints the processor time in milliseconds, without reading and writing.
#include <pcl/point_types.h>
#include <pcl/segmentation/supervoxel_clustering.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  using Point = pcl::PointXYZRGBA;
  std::ifstream in(argv[1], std::ios::binary | std::ios::ate);
  std::vector<float> raw(static_cast<std::size_t>(in.tellg()) / sizeof(float));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(raw.data()), raw.size() * sizeof(float));
  pcl::PointCloud<Point>::Ptr cloud(new pcl::PointCloud<Point>);
  for (std::size_t i = 0; i + 5 < raw.size(); i += 6) {
    Point p;
    p.x = raw[i], p.y = raw[i + 1], p.z = raw[i + 2];
    p.r = static_cast<std::uint8_t>(raw[i + 3]);
    p.g = static_cast<std::uint8_t>(raw[i + 4]);
    p.b = static_cast<std::uint8_t>(raw[i + 5]);
    p.a = 255;
    cloud->push_back(p);
  }
  const std::clock_t begin = std::clock();
  pcl::SupervoxelClustering<Point> clustering(std::atof(argv[3]), std::atof(argv[4]));
  clustering.setUseSingleCameraTransform(false);
  clustering.setInputCloud(cloud);
  clustering.setColorImportance(std::atof(argv[5]));
  clustering.setSpatialImportance(0.4f);
  clustering.setNormalImportance(1.0f);
  std::map<std::uint32_t, pcl::Supervoxel<Point>::Ptr> found;
  clustering.extract(found);
  const auto labelled = clustering.getLabeledCloud();
  std::printf("%.3f\n", 1000.0 * (std::clock() - begin) / CLOCKS_PER_SEC);
  std::ofstream out(argv[2], std::ios::binary);
  for (const auto& p : *labelled) {
    const std::uint32_t label = p.label;
    out.write(reinterpret_cast<const char*>(&label), sizeof(label));
  }
}

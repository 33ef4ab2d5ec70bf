// PCL's locally convex connected patches (Stein et al., CVPR 2014) over a raw file of points.
// usage: lccp CLOUD LABELS VOXEL_SIZE SEED_SIZE CONCAVITY_DEGREES
// CLOUD holds float32 x y z r g b a point, in the camera's frame; LABELS receives uint32 a point,
// 0 = left without one.
#include <pcl/point_types.h>
#include <pcl/segmentation/lccp_segmentation.h>
#include <pcl/segmentation/supervoxel_clustering.h>

#include <cstdint>
#include <cstdlib>
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
  const float voxel = std::atof(argv[3]), seed = std::atof(argv[4]);
  pcl::SupervoxelClustering<Point> clustering(voxel, seed);
  clustering.setUseSingleCameraTransform(false);
  clustering.setInputCloud(cloud);
  clustering.setColorImportance(0.0f);
  clustering.setSpatialImportance(1.0f);
  clustering.setNormalImportance(4.0f);
  std::map<std::uint32_t, pcl::Supervoxel<Point>::Ptr> found;
  clustering.extract(found);
  std::multimap<std::uint32_t, std::uint32_t> adjacency;
  clustering.getSupervoxelAdjacency(adjacency);
  pcl::LCCPSegmentation<Point> lccp;
  lccp.setConcavityToleranceThreshold(std::atof(argv[5]));
  lccp.setSanityCheck(true);
  lccp.setSmoothnessCheck(true, voxel, seed, 0.1f);
  lccp.setKFactor(0);
  lccp.setMinSegmentSize(3);
  lccp.setInputSupervoxels(found, adjacency);
  lccp.segment();
  auto labelled = clustering.getLabeledCloud();
  lccp.relabelCloud(*labelled);
  std::ofstream out(argv[2], std::ios::binary);
  for (const auto& p : *labelled) {
    const std::uint32_t label = p.label;
    out.write(reinterpret_cast<const char*>(&label), sizeof(label));
  }
}
